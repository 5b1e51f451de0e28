"""The compiler's cache never hands out code that was made from an older source."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from streams.kernel_cache import folder, source_files
from tests.house.compiled import compiled_functions, problems
from tests.house.names import origins
from tests.house.tree import ROOT, Module, module, modules

CALLEE = module(
    "streams/core/callee.py",
    "from streams.core.jit import compiled\n@compiled\ndef step(x):\n    return x\ndef plain(x):\n    return x\n",
)


def caller(imports: str, body: str) -> Module:
    """Make a file with one compiled function."""
    return module(
        "streams/core/caller.py",
        f"from streams.core.jit import compiled\n{imports}\n@compiled\ndef f(x):\n    return {body}\n",
    )


@pytest.mark.parametrize(
    ("imports", "body"),
    [
        ("from streams.core.callee import step", "step(x)"),
        ("from streams.core.callee import step as other", "other(x)"),
        ("from streams.core import callee", "callee.step(x)"),
        ("import streams.core.callee", "streams.core.callee.step(x)"),
        ("import streams.core.callee as c\ninner = c.step", "inner(x)"),
    ],
)
def test_the_checker_reports_a_compiled_function_of_another_file(imports: str, body: str) -> None:
    line = 5 + imports.count("\n")
    found = problems([CALLEE, caller(imports, body)])
    assert found == [f"streams/core/caller.py:{line}: f uses streams.core.callee.step"]


@pytest.mark.parametrize("decorator", ["numba.njit", "numba.njit(cache=True)", "numba.vectorize(['f8(f8)'])"])
def test_the_checker_knows_the_compilers_own_decorators(decorator: str) -> None:
    text = f"import numba\nfrom streams.core.callee import step\n@{decorator}\ndef f(x):\n    return step(x)\n"
    assert len(problems([CALLEE, module("streams/core/caller.py", text)])) == 1


def test_the_checker_lets_calls_within_a_file_and_of_plain_functions_be() -> None:
    text = f"{CALLEE.text}@compiled\ndef g(x):\n    return step(x)\n"
    assert problems([module("streams/core/callee.py", text)]) == []
    assert problems([CALLEE, caller("from streams.core.callee import plain", "plain(x)")]) == []
    assert problems([CALLEE, module("streams/core/a.py", "from streams.core.callee import step\nstep(1)\n")]) == []


def test_compiled_code_stays_within_its_file() -> None:
    house = modules("streams", "agents", "bench")
    assert {"streams/core/kernel.py"} <= {each.path for each in house if list(compiled_functions(each))}
    assert problems(house) == []


def answer(folder: Path) -> str:
    """Run a compiled function of the copy in a process of its own."""
    command = [sys.executable, "-B", "-c", "from streams.core.uses import f; print(f(1))"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def test_a_constant_that_changes_in_another_file_is_seen_by_compiled_code(tmp_path: Path) -> None:
    core = tmp_path / "streams" / "core"
    core.mkdir(parents=True)
    for name in ("streams/__init__.py", "streams/kernel_cache.py", "streams/core/__init__.py", "streams/core/jit.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    (core / "uses.py").write_text(
        "from streams.core.jit import compiled\nfrom streams.core.bounds import STEP\n\n\n"
        "@compiled\ndef f(x: int) -> int:\n    return x + STEP\n"
    )
    (core / "bounds.py").write_text("STEP = 1\n")
    assert answer(tmp_path) == "2"
    (core / "bounds.py").write_text("STEP = 100\n")
    assert answer(tmp_path) == "101"


def test_all_compiled_code_and_what_it_leans_on_counts_for_the_name_of_its_cache() -> None:
    counted = {path.relative_to(ROOT).as_posix() for path in source_files(ROOT / "streams")}
    made = [each for each in modules("streams") if list(compiled_functions(each))]
    assert {"streams/core/kernel.py", "streams/kafka/batch_kernel.py"} <= {each.path for each in made}
    assert [each.path for each in made if each.path not in counted] == []
    used = {origin for each in made for origin in origins(each.tree).values() if origin.startswith("streams.")}
    files = {each.name: each.path for each in modules("streams")}
    leant_on = {path for name, path in files.items() if any(origin.startswith(f"{name}.") for origin in used)}
    assert sorted(leant_on - counted) == ["streams/__init__.py"]


def test_a_change_in_any_of_these_files_gives_another_cache(tmp_path: Path) -> None:
    names = ("core/limits.py", "kafka/batch_kernel.py", "kafka/codec.py")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("A = 1\n")
    before = folder({}, tmp_path)
    changed = []
    for name in names:
        (tmp_path / name).write_text("A = 2\n")
        changed.append(folder({}, tmp_path) != before)
        (tmp_path / name).write_text("A = 1\n")
    assert changed == [True, True, False]
