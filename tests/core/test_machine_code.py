"""Compiled code counts no references: the option that turns it off has no public name."""

import json
import os
import subprocess
import sys
from pathlib import Path

from streams import kernel_cache
from tests.core.machine_code import CONTROL
from tests.house.tree import ROOT

LONG = (
    *("kernel.long_step", "order.lay_step", "decode.long_decode", "decode.find_names"),
    *("batch_kernel.long_scan", "batch_kernel.long_read_records"),
)
"""What replays alone call, most of it the same once more. It lets go of the interpreter, and no worker waits for it."""


def test_compiled_code_counts_no_references_and_warming_up_compiles_all_of_it(tmp_path: Path) -> None:
    environment = {**os.environ, kernel_cache.SETTING: str(tmp_path)}
    command = [sys.executable, "-B", "-W", "error", "-m", "tests.core.machine_code"]
    run = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    counts = json.loads(run.stdout)
    assert counts.pop(CONTROL) is True  # else this test looks for the wrong thing
    assert [counts.pop(name) for name in LONG] == [None] * len(LONG)
    assert {"kernel.step", "kernel.look", "decode.decode", "rows.wake", "batch_kernel.scan"} <= counts.keys()
    assert [name for name, counting in counts.items() if counting] == []
    assert [name for name, counting in counts.items() if counting is None] == []
