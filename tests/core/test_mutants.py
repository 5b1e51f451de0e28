"""Each mistake in `mutants`, made in a copy of the sources, is caught there by the property tests.

The copy is made and compiled once. A mistake is written over it, so that only the file with the mistake is
compiled again: the compiler's cache goes by file. That takes a core for ten seconds; so every third mistake is made,
and the first of each file, and with `MUTANTS=all` every one.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from streams import kernel_cache
from tests.core.mutants import MUTANTS, Mutant, mutated
from tests.house.tree import ROOT, parsed

PROPERTIES = ("tests/core/test_kernel_equals_oracle.py",)
CAUGHT = re.compile(r"^E   (AssertionError|assert )", re.MULTILINE)
"""How pytest shows that two answers differ; an error of any other kind would say nothing about the tests."""

FIRST_OF_FILES = {mutant.file: mutant for mutant in reversed(MUTANTS)}.values()
MADE = [each for number, each in enumerate(MUTANTS) if number % 3 == 0 or each in FIRST_OF_FILES]


def by_name(mutants: Sequence[Mutant]) -> pytest.MarkDecorator:
    """Once for each."""
    return pytest.mark.parametrize("mutant", mutants, ids=[each.name.replace(" ", "-") for each in mutants])


def environment(copy: Path) -> dict[str, str]:
    """Make the environment of a run in the copy: its own sources, its own compiled kernels."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "NUMBA_"))}
    return {**kept, "PYTHONPATH": str(copy), kernel_cache.SETTING: str(copy / "kernels")}


def run_properties(copy: Path) -> subprocess.CompletedProcess[str]:
    """Run, in the copy, the tests that are the same in every run."""
    options = ("-x", "-q", "--tb=short", "-p", "no:cacheprovider", "-m", "not hypothesis")
    command = [sys.executable, "-B", "-m", "pytest", *options, *PROPERTIES]
    return subprocess.run(
        command, cwd=copy, env=environment(copy), check=False, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the sources, and compile them in a run of the tests that passes."""
    copy = tmp_path_factory.mktemp("mutants")
    for folder in ("streams", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    run = run_properties(copy)
    assert run.returncode == 0, run.stdout + run.stderr
    return copy


@contextmanager
def mistake(mutant: Mutant, copy: Path) -> Iterator[None]:
    """Write the mistake over the copy for a while, and lay out what is compiled of the other files."""
    package = copy / "streams"
    path, compiled = package / "core" / mutant.file, kernel_cache.folder(environment(copy), package)
    original, text = path.stat(), path.read_text()
    path.write_text(mutated(mutant, text))
    try:
        shutil.copytree(compiled, kernel_cache.folder(environment(copy), package))
        yield
    finally:
        path.write_text(text)
        os.utime(path, ns=(original.st_atime_ns, original.st_mtime_ns))


def test_there_are_many_mistakes_each_with_a_name_of_its_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 14
    files = {"kernel.py", "rows.py", "index.py", "ways.py", "waking.py", "strategy_counts.py"}
    assert {mutant.file for mutant in MUTANTS} == files


@by_name(MUTANTS)
def test_a_mistake_is_made_in_one_place_and_is_python(mutant: Mutant) -> None:
    text = (ROOT / "streams" / "core" / mutant.file).read_text()
    assert ast.dump(parsed(mutated(mutant, text))) != ast.dump(parsed(text))


@by_name(MUTANTS if os.environ.get("MUTANTS") == "all" else MADE)
def test_a_mistake_is_caught(mutant: Mutant, copy: Path) -> None:
    with mistake(mutant, copy):
        run = run_properties(copy)
    assert run.returncode == 1, f"{mutant.name}: not caught\n{run.stdout}{run.stderr}"
    assert CAUGHT.search(run.stdout), f"{mutant.name}: caught by something else\n{run.stdout}{run.stderr}"
