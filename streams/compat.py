"""The functions of old, until their users have moved: each warns, counts its use, and does what it did.

Until 2027-02-28 their uses are watched (`tickgate_deprecated_calls_total`). The two wrappers of the alert loop go on
2027-05-28; the metric functions, with the counters of the process that they count in, on 2027-08-28.
"""

import signal
import subprocess
import sys
import warnings
from typing import Final

from streams.metrics import Metrics

STOPPING_S: Final = 10.0
"""A worker is gone by then."""

WRAPPERS_GO: Final = "2027-05-28"
GLOBALS_GO: Final = "2027-08-28"

METRICS: Final = Metrics()
"""Of this process, for those who count from outside. A worker has counters of its own."""

_loops: Final[list[subprocess.Popen[bytes]]] = []


def start_alert_loop() -> None:
    """Start a worker beside this process, with its environment; nothing where one runs that was started so."""
    _old("start_alert_loop", "run `tickgate worker`, or call streams.worker.run_worker", WRAPPERS_GO)
    if not any(loop.poll() is None for loop in _loops):
        _loops[:] = [subprocess.Popen([sys.executable, "-m", "streams.cli", "worker"])]


def stop_alert_loop() -> None:
    """Let the worker end that `start_alert_loop` started, its last checkpoint made; nothing where there is none."""
    _old("stop_alert_loop", "send SIGTERM to the worker", WRAPPERS_GO)
    while _loops:
        loop = _loops.pop()
        loop.send_signal(signal.SIGTERM)
        try:
            loop.wait(STOPPING_S)
        except subprocess.TimeoutExpired:
            loop.kill()  # nothing is lost by that: the next owner does anew what was not made true
            loop.wait()


def increment_strategy_runs() -> None:
    """Count a run."""
    _old("increment_strategy_runs", "read strategy_runs_total from a worker's /metrics", GLOBALS_GO)
    METRICS.strategy_runs.inc()


def increment_skipped_no_update() -> None:
    """Count a strategy that was skipped, as none of its tickers was updated."""
    _old("increment_skipped_no_update", "read skipped_no_update_total from a worker's /metrics", GLOBALS_GO)
    METRICS.skipped_no_update.inc()


def increment_skipped_bucket_dup() -> None:
    """Count a pair that was skipped, as it had run in its bucket."""
    _old("increment_skipped_bucket_dup", "read skipped_bucket_dup_total from a worker's /metrics", GLOBALS_GO)
    METRICS.skipped_bucket_dup.inc()


def get_alert_metrics() -> dict[str, int]:
    """What these functions have counted in this process, by the names of old."""
    _old("get_alert_metrics", "read a worker's /metrics", GLOBALS_GO)
    names = ("strategy_runs", "skipped_no_update", "skipped_bucket_dup")
    return {name: int(METRICS.registry.get_sample_value(f"{name}_total") or 0) for name in names}


def _old(name: str, instead: str, goes: str) -> None:
    """Count a use, and tell whoever called how to move."""
    METRICS.deprecated_call(name)
    warnings.warn(f"{name} goes on {goes}; {instead}", DeprecationWarning, stacklevel=3)
