"""What `./dev demo` runs, end to end: piped for some seconds, and on a terminal until Ctrl-C."""

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.house.dev_script import load_dev
from tests.house.tree import ROOT

SMALL = ("--rate", "2000", "--tickers", "300", "--strategies", "60", "--seed", "3")
AUDIT = re.compile(r"audit +lost 0, repeated 0, of ([\d,]+) pairs")


def command() -> list[str]:
    """What `./dev demo` becomes."""
    return [sys.executable, "-m", *load_dev().MODULES["demo"], *SMALL]


def test_the_demo_shows_executions_and_ends() -> None:
    done = subprocess.run(
        [*command(), "--seconds", "4"], cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r" s  [\d,]+ ticks \([\d,]+/s\)  [\d,]+ executions", done.stdout)
    assert "4 of 4 shards moving" in done.stdout
    # Four seconds, of which three are the opening with four times the rate.
    assert "ticks         26,000 in 4.0 s; 0 not delivered" in done.stdout
    audit = AUDIT.search(done.stdout)
    assert audit is not None, done.stdout
    pairs = int(audit[1].replace(",", ""))
    assert pairs > 1_000
    assert f"fired pairs   {pairs:,}\n" in done.stdout
    assert "\x1b" not in done.stdout


def test_ctrl_c_ends_the_demo_on_a_terminal_with_its_audit(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "140", "LINES": "50"}
    with (tmp_path / "said").open("wb") as errors:
        demo = subprocess.Popen(
            command(), cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=errors, start_new_session=True
        )
    os.close(theirs)
    try:
        shown = read_until(ours, b"per_ticker")
        demo.send_signal(signal.SIGINT)
        shown += read_until(ours, b"audit ")
        shown += read_to_end(ours)
        assert demo.wait(60) == 0, (tmp_path / "said").read_text()
    finally:
        demo.kill()
        demo.wait()
        os.close(ours)
    text = shown.decode(errors="replace")
    assert AUDIT.search(text)
    for part in ("flow", "shards", "executions", "the market opens", "running"):
        assert part in text, part


def read_until(terminal: int, sought: bytes) -> bytes:
    """What is shown up to and with some bytes; a demo that ends before raises."""
    shown = b""
    while sought not in shown:
        shown += os.read(terminal, 1 << 16)
    return shown


def read_to_end(terminal: int) -> bytes:
    """The rest."""
    shown = b""
    with contextlib.suppress(OSError):  # Linux says so where nobody holds the terminal any more
        while more := os.read(terminal, 1 << 16):
            shown += more
    return shown
