"""What `./dev demo` runs, on a small market."""

import re
import subprocess
import sys

from tests.house.tree import ROOT


def test_the_demo_shows_executions_and_ends() -> None:
    command = [sys.executable, "-m", "bench.demo", "--ticks", "5000", "--seed", "3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert "the first executions" in done.stdout
    assert len(re.findall(r"\bper_ticker\b", done.stdout)) == 12
    assert re.search(r"5,000 ticks met [\d,]+ pairs", done.stdout)
