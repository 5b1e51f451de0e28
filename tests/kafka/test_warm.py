"""A worker on a machine where nothing is compiled yet leaves the compiling to another process, once."""

import logging
import sys
from pathlib import Path

import pytest

from streams.kafka import warm
from streams.kernel_cache import COMPILER_SETTING


def test_the_process_that_compiles_leaves_the_mark() -> None:
    """In the cache of all tests, where it has little to do: without its mark for a moment, which hurts nobody."""
    warm.mark().unlink(missing_ok=True)
    warm.compile_elsewhere()
    assert warm.mark().exists()


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
