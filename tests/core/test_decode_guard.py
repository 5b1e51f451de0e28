"""The decoder touches no byte past the end of anything: where it would, the process would be killed."""

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from streams.kernel_cache import SETTING
from tests.house.tree import ROOT

CASES = 5_000
SEED = 1 if os.environ.get("CI") else secrets.randbelow(1 << 32)
BOUNDS_CHECK = "NUMBA_BOUNDSCHECK"


class BrokenCheck(NamedTuple):
    """One check of the decoder that holds it within its bytes, and what stands there without it."""

    name: str
    old: str
    new: str


BROKEN = [
    BrokenCheck("a number goes on past the end", "while at < end:", "while at <= end:"),
    BrokenCheck("a name may be longer than the value", "if length < 0 or length > end - at:", "if length < 0:"),
]


def fuzz(root: Path, *options: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the fuzzer of a checkout in a process of its own."""
    command = [sys.executable, "-B", "-m", "tests.core.fuzz_decode", "--cases", str(CASES), *options]
    environment = {**os.environ, "PYTHONPATH": str(root), **settings}
    return subprocess.run(command, cwd=root, env=environment, check=False, capture_output=True, text=True, timeout=300)


def broken_copy(check: BrokenCheck, folder: Path) -> Path:
    """A copy of the sources without one check."""
    for name in ("streams", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "streams" / "core" / "decode.py"
    text = path.read_text()
    assert text.count(check.old) == 1, f"{check.name}: bring it up to date"
    path.write_text(text.replace(check.old, check.new))
    return folder


def test_a_short_run_of_the_fuzzer_finds_nothing() -> None:
    run = fuzz(ROOT, "--seed", str(SEED))
    assert run.returncode == 0, f"seed {SEED}\n{run.stdout}{run.stderr}"
    assert f"{CASES:,} cases" in run.stdout


def test_no_index_is_out_of_bounds(tmp_path: Path) -> None:
    run = fuzz(ROOT, "--alone", "--seed", str(SEED), **{BOUNDS_CHECK: "1", SETTING: str(tmp_path)})
    assert run.returncode == 0, f"seed {SEED}\n{run.stdout}{run.stderr}"
    assert f"{CASES:,} cases" in run.stdout


@pytest.mark.parametrize("check", BROKEN, ids=[check.name.replace(" ", "-") for check in BROKEN])
def test_a_decoder_without_one_of_its_checks_is_killed(check: BrokenCheck, tmp_path: Path) -> None:
    copy = broken_copy(check, tmp_path)
    settings = {SETTING: str(tmp_path / "kernels")}
    for options in ((), ("--alone",)):
        run = fuzz(copy, "--seed", "1", *options, **settings)
        assert run.returncode == -signal.SIGSEGV, f"{options}\n{run.stdout}{run.stderr}"


def test_a_decoder_without_one_of_its_checks_is_found_by_its_indexes(tmp_path: Path) -> None:
    copy = broken_copy(BROKEN[0], tmp_path)
    settings = {BOUNDS_CHECK: "1", SETTING: str(tmp_path / "kernels")}
    run = fuzz(copy, "--alone", "--seed", "1", **settings)
    assert run.returncode == 1
    assert re.search(r"^IndexError: index is out of bounds", run.stderr, re.MULTILINE), run.stderr
