"""A worker on a machine where nothing is compiled yet leaves the compiling to another process, once."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from streams.kafka import warm
from streams.kernel_cache import COMPILER_SETTING, SETTING

LARGEST_MB = """
import resource
from streams.kafka.warm import compile_elsewhere, mark, warm_up
{before}
warm_up()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
LEAST_SAVED_MB = 100


def largest_mb(cache: Path, before: str) -> int:
    """The most memory that a process takes which warms up."""
    code = LARGEST_MB.format(before=before)
    environment = os.environ | {SETTING: str(cache)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return int(run.stdout)


def test_a_process_that_has_it_compiled_elsewhere_stays_smaller(tmp_path: Path) -> None:
    elsewhere = largest_mb(tmp_path / "one", "compile_elsewhere(); assert mark().exists()")
    assert elsewhere + LEAST_SAVED_MB < largest_mb(tmp_path / "two", "assert not mark().exists()")


def test_once_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COMPILER_SETTING, str(tmp_path))
    counter = tmp_path / "counter"
    count = f"from pathlib import Path; Path({str(counter)!r}).open('a').write('.'); Path({str(warm.mark())!r}).touch()"
    monkeypatch.setattr(warm, "COMPILING", (sys.executable, "-c", count))
    warm.compile_elsewhere()
    warm.compile_elsewhere()
    assert counter.read_text() == "."


def test_where_it_fails_the_worker_says_so_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(COMPILER_SETTING, str(tmp_path))
    monkeypatch.setattr(warm, "COMPILING", (sys.executable, "-c", "raise SystemExit(3)"))
    with caplog.at_level(logging.WARNING):
        warm.compile_elsewhere()
    assert "ended with 3" in caplog.text
