"""The functions of old warn, count their uses and do what they did."""

import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from streams import compat

COUNTING = {
    compat.increment_strategy_runs: "strategy_runs",
    compat.increment_skipped_no_update: "skipped_no_update",
    compat.increment_skipped_bucket_dup: "skipped_bucket_dup",
}
READY = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print('ready', flush=True); "
OBEYS = READY + "signal.pause()"
HANGS = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); signal.pause()"


def calls(name: str) -> float:
    return compat.METRICS.registry.get_sample_value("tickgate_deprecated_calls_total", {"name": name}) or 0


@pytest.mark.parametrize("function", COUNTING, ids=lambda each: each.__name__)
def test_each_metric_function_warns_of_itself_counts_its_use_and_counts(function: Callable[[], None]) -> None:
    with pytest.warns(DeprecationWarning, match="get_alert_metrics goes on 2027-08-28; read a worker's /metrics"):
        before = compat.get_alert_metrics()
    used = calls(function.__name__)
    name = COUNTING[function]
    with pytest.warns(DeprecationWarning, match=rf"^{function.__name__} goes on 2027-08-28; read {name}_total") as told:
        function()
    assert [each.filename for each in told] == [__file__]  # the place that has to move
    with pytest.warns(DeprecationWarning, match="get_alert_metrics"):
        assert compat.get_alert_metrics() == {**before, name: before[name] + 1}
    assert calls(function.__name__) == used + 1


class Workers:
    """Stands where processes are started: each runs a script in place of a worker, and is ready."""

    def __init__(self, script: str) -> None:
        self.script, self.asked, self.made = script, list[list[str]](), list[subprocess.Popen[bytes]]()
        self._start: Any = subprocess.Popen

    def __call__(self, command: list[str]) -> "subprocess.Popen[bytes]":
        """Start one."""
        self.asked.append(command)
        made = self._start([sys.executable, "-c", self.script], stdout=subprocess.PIPE)
        self.made.append(made)
        with made.stdout:
            assert made.stdout.readline() == b"ready\n"
        return made  # type: ignore[no-any-return] # what is stood for is not typed here


@pytest.mark.parametrize(("script", "code"), [(OBEYS, 7), (HANGS, -signal.SIGKILL)])
def test_the_loop_is_one_worker_beside_this_process(script: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = Workers(script)
    monkeypatch.setattr(subprocess, "Popen", workers)
    monkeypatch.setattr(compat, "STOPPING_S", 10.0 if script is OBEYS else 0.2)
    for _ in range(2):  # a second start finds one that runs
        with pytest.warns(DeprecationWarning, match="start_alert_loop goes on 2027-05-28; run `tickgate worker`"):
            compat.start_alert_loop()
    assert workers.asked == [[sys.executable, "-m", "streams.cli", "worker"]]
    for _ in range(2):  # a second stop finds none
        with pytest.warns(DeprecationWarning, match="stop_alert_loop goes on 2027-05-28; send SIGTERM"):
            compat.stop_alert_loop()
    assert [each.poll() for each in workers.made] == [code]
    with pytest.warns(DeprecationWarning, match="start_alert_loop"):
        compat.start_alert_loop()
    assert len(workers.made) == 2
    with pytest.warns(DeprecationWarning, match="stop_alert_loop"):
        compat.stop_alert_loop()
