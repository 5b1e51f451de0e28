"""`./dev` sets a checkout up once, sets it up again when it must, and says what is wrong when it cannot."""

import ast
import fcntl
import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.house.dev_script import load_dev
from tests.house.tree import ROOT, parsed


class Setup:
    """A made-up checkout, in which `./dev setup` runs its steps for show."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.dev = load_dev()
        self.version = "3.11"
        self.steps: list[str] = []
        self.failing = ""
        (root / "requirements").mkdir()
        (root / "requirements/dev.txt").write_text("a==1\n")
        (root / "pyproject.toml").write_text("[project]\n")
        monkeypatch.setattr(self.dev, "run", self.run)
        monkeypatch.setattr(self.dev, "venv_version", lambda root: self.version if (root / ".venv").exists() else "")

    def run(self, root: Path, command: list[str], problem: str, keep_open: tuple[int, ...]) -> None:
        """Note the step instead of running it; each holds the lock."""
        assert keep_open
        step = command[-1].removeprefix(f"{root}/")
        assert not (root / ".venv/made-from").exists() or step == ".venv"
        self.steps.append(step)
        if step == self.failing:
            raise self.dev.DevError(problem)
        if step == ".venv":
            (root / ".venv").mkdir(exist_ok=True)

    def again(self) -> list[str]:
        """Set up, and say which steps that took."""
        self.steps.clear()
        assert self.dev.setup(self.root) == bool(self.steps)
        return self.steps


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setup:
    """A checkout that was never set up."""
    return Setup(tmp_path, monkeypatch)


EVERYTHING = [".venv", "requirements/dev.txt", "."]
PACKAGES = ["requirements/dev.txt", "."]


def test_the_first_setup_takes_every_step_and_the_next_one_none(setup: Setup) -> None:
    assert setup.again() == EVERYTHING
    assert setup.again() == []


@pytest.mark.parametrize("name", ["requirements/dev.txt", "pyproject.toml"])
def test_a_change_of_what_is_needed_installs_the_packages_again(setup: Setup, name: str) -> None:
    setup.again()
    with (setup.root / name).open("a") as file:
        file.write("# changed\n")
    assert setup.again() == PACKAGES
    assert setup.again() == []


def test_another_python_in_the_venv_makes_it_anew(setup: Setup) -> None:
    setup.again()
    setup.version = "3.12"
    assert setup.again() == EVERYTHING


def test_a_venv_whose_python_is_gone_is_made_anew(setup: Setup) -> None:
    setup.again()
    setup.version = ""
    setup.steps.clear()
    setup.dev.setup(setup.root)
    assert setup.steps == EVERYTHING


def test_a_venv_that_was_moved_is_made_anew(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> None:
    setup.again()
    moved = tmp_path_factory.mktemp("moved") / "checkout"
    setup.root.rename(moved)
    setup.root = moved
    assert setup.again() == EVERYTHING


@pytest.mark.parametrize("failing", EVERYTHING)
def test_a_setup_cut_short_starts_afresh(setup: Setup, failing: str) -> None:
    setup.failing = failing
    with pytest.raises(setup.dev.DevError, match="Remedy: "):
        setup.again()
    setup.failing = ""
    assert setup.again() == EVERYTHING


@pytest.mark.parametrize("failing", PACKAGES)
def test_an_update_cut_short_starts_afresh(setup: Setup, failing: str) -> None:
    setup.again()
    (setup.root / "requirements/dev.txt").write_text("a==2\n")
    setup.failing = failing
    with pytest.raises(setup.dev.DevError, match="Remedy: "):
        setup.again()
    setup.failing = ""
    assert setup.again() == EVERYTHING


def test_a_venv_made_by_someone_else_is_made_anew(setup: Setup) -> None:
    (setup.root / ".venv").mkdir()
    assert setup.again() == EVERYTHING


def test_the_second_of_two_at_once_waits_and_finds_the_work_done(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = threading.Event()
    monkeypatch.setattr(setup.dev, "print", lambda *_, **__: waiting.set(), raising=False)
    (setup.root / ".cache").mkdir()
    first = os.open(setup.root / ".cache/setup.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(first, fcntl.LOCK_EX)
    second = threading.Thread(target=setup.dev.setup, args=(setup.root,))
    second.start()
    try:
        assert waiting.wait(30)
        assert setup.steps == []
        (setup.root / ".venv").mkdir()
        setup.dev.stamp_of(setup.root).write_text(setup.dev.base_of(setup.root) + setup.dev.digest_of(setup.root))
    finally:
        os.close(first)
        second.join(30)
    assert not second.is_alive()
    assert setup.steps == []


@pytest.mark.parametrize("missing", ["venv", "ensurepip"])
def test_a_python_without_venv_or_ensurepip_is_told_the_remedy(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else real(name))
    with pytest.raises(setup.dev.DevError, match="python3-venv"):
        setup.dev.setup(setup.root)
    assert setup.steps == []


DEV = load_dev()


@pytest.mark.parametrize(("major", "minor"), [(3, 11), (3, 13), (4, 0)])
def test_a_new_enough_python_is_fine(major: int, minor: int) -> None:
    assert DEV.python_problem(major, minor, "python3") == ""


@pytest.mark.parametrize("minor", [6, 9, 10])
def test_an_old_python_is_told_its_version_and_the_remedy(minor: int) -> None:
    problem = DEV.python_problem(3, minor, "/usr/bin/python3")
    for part in ("3.11 or newer", f"3.{minor} (/usr/bin/python3)", "Remedy", "python3.11 ./dev setup"):
        assert part in problem


def test_an_old_python_reads_far_enough_to_be_told() -> None:
    tree = parsed((ROOT / "dev").read_text(), python=(3, 7))
    ask = next(i for i, node in enumerate(tree.body) if isinstance(node, ast.If) and "PROBLEM" in ast.dump(node.test))
    annotations = [
        each.annotation
        for node in tree.body[:ask]
        for each in ast.walk(node)
        if isinstance(each, ast.arg) and each.annotation
    ]
    assert annotations
    assert all(isinstance(each, ast.Name) for each in annotations)  # `dict[str, str]` fails before 3.9


def test_dev_imports_only_the_standard_library() -> None:
    tree = parsed((ROOT / "dev").read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names


def test_children_see_the_checkouts_venv_and_nothing_that_leads_elsewhere() -> None:
    inherited = {"PATH": "/other/bin", "VIRTUAL_ENV": "/other", "PYTHONPATH": "/x", "PIP_TARGET": "/x", "KEPT": "1"}
    assert DEV.environment_of(Path("/a b"), inherited) == {
        "KEPT": "1",
        "PATH": "/a b/.venv/bin:/other/bin",
        "PIP_NO_INPUT": "1",
        "PIP_USER": "0",
        "VIRTUAL_ENV": "/a b/.venv",
    }


def test_a_venv_says_its_version_or_nothing(tmp_path: Path) -> None:
    assert DEV.venv_version(tmp_path) == ""
    python = DEV.python_of(tmp_path)
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    assert DEV.venv_version(tmp_path) == f"{sys.version_info[0]}.{sys.version_info[1]}"
    python.unlink()
    python.symlink_to(tmp_path / "uninstalled")
    assert DEV.venv_version(tmp_path) == ""


def test_checks_run_to_the_last_and_the_failed_are_named(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    dev = load_dev()
    exits = {"good": "pass", "bad": "raise SystemExit(1)", "worse": "raise SystemExit(2)"}
    monkeypatch.setattr(dev, "python_of", lambda _: Path(sys.executable))
    monkeypatch.setattr(dev, "CHECKS", {name: ("timeit", "-n1", "-r1", code) for name, code in exits.items()})
    assert dev.check(ROOT, []) == 2
    assert capfd.readouterr().out.splitlines()[-1] == "FAILED: bad, worse"
    assert dev.check(ROOT, ["good"]) == 0
    with pytest.raises(dev.DevError, match="good, bad, worse; not spelling"):
        dev.check(ROOT, ["spelling"])


@pytest.mark.parametrize("command", ["test", "demo", "bench", "kafka"])
def test_a_command_passes_its_arguments_on(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    dev = load_dev()
    became: list[object] = []
    monkeypatch.setattr(dev, "setup", became.append)
    monkeypatch.setattr(dev, "become", lambda *arguments: became.extend(arguments))
    assert dev.main([command, "-k", "two words"]) == 0
    assert became == [dev.ROOT, dev.ROOT, dev.MODULES[command], ["-k", "two words"]]


def run_dev(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script itself, from another folder."""
    command = [sys.executable, str(ROOT / "dev"), *arguments]
    return subprocess.run(command, cwd="/", check=False, capture_output=True, text=True)


def test_every_command_is_in_the_usage_and_an_unknown_one_shows_it() -> None:
    usage = run_dev("--help")
    assert usage.returncode == 0
    for name in ("setup", "check", "lock", *DEV.MODULES):
        assert f"\n  {name} " in usage.stdout
    for arguments in ([], ["tests"]):
        refused = run_dev(*arguments)
        assert (refused.returncode, refused.stdout, refused.stderr) == (2, "", usage.stdout)


def test_ci_runs_dev_test() -> None:
    script = ROOT / ".ci/run"
    assert script.read_text().splitlines()[-1] == "exec ./dev test"
    assert os.access(script, os.X_OK)
    assert os.access(ROOT / "dev", os.X_OK)


def test_the_locks_say_the_command_that_made_them() -> None:
    for path, what in DEV.LOCKS.items():
        command = f"uv pip compile pyproject.toml {' '.join([*what, *DEV.LOCK_OPTIONS])} -o {path}"
        assert command in (ROOT / path).read_text().splitlines()[1]
