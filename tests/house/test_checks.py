"""The checks of `./dev check` hold, and pre-commit runs the same ones."""

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from tests.house.dev_script import load_dev
from tests.house.tree import FOLDERS, ROOT, SCRIPTS

DEV = load_dev()


@pytest.mark.parametrize("name", DEV.CHECKS)
def test_the_check_passes(name: str) -> None:
    command = [sys.executable, "-m", *DEV.CHECKS[name]]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_checks_look_at_the_whole_house() -> None:
    assert set(DEV.SOURCES) == {*FOLDERS, *SCRIPTS}
    for command in DEV.CHECKS.values():
        assert command[-len(DEV.SOURCES) :] == DEV.SOURCES


def hook_problems(config: Mapping[str, Any], checks: Mapping[str, object]) -> list[str]:
    """Say where the pre-commit hooks differ from the checks."""
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    problems = [f"{repo['repo']} is not local" for repo in config["repos"] if repo["repo"] != "local"]
    problems += [f"no hook runs {name}" for name in checks if name not in {hook["id"] for hook in hooks}]
    for hook in hooks:
        wanted = {"entry": f"./dev check {hook['id']}", "language": "system", "pass_filenames": False}
        if hook["id"] not in checks:
            problems.append(f"{hook['id']}: ./dev check does not know it")
        problems += [f"{hook['id']}: {key} is not {value}" for key, value in wanted.items() if hook.get(key) != value]
    return problems


def test_pre_commit_runs_the_same_checks() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert hook_problems(config, DEV.CHECKS) == []


def test_a_hook_that_differs_is_reported() -> None:
    config = yaml.safe_load("""
    repos:
      - repo: elsewhere
        hooks:
          - {id: format, entry: ruff format, language: system, pass_filenames: false}
          - {id: spelling, entry: ./dev check spelling, language: python, pass_filenames: false}
    """)
    assert hook_problems(config, {"format": (), "lint": ()}) == [
        "elsewhere is not local",
        "no hook runs lint",
        "format: entry is not ./dev check format",
        "spelling: ./dev check does not know it",
        "spelling: language is not system",
    ]
