"""Every dependency in pyproject.toml, and every rule that is left out, says on its own line why."""

import re
import tomllib
from collections import Counter
from typing import Any

from tests.house.tree import ROOT

PYPROJECT = (ROOT / "pyproject.toml").read_text()


def dependencies(tables: dict[str, Any]) -> list[str]:
    """Every requirement of the project."""
    project = tables.get("project", {})
    groups = [
        project.get("dependencies", []),
        *project.get("optional-dependencies", {}).values(),
        *tables.get("dependency-groups", {}).values(),
    ]
    return [requirement for group in groups for requirement in group]


def left_out(tables: dict[str, Any]) -> list[str]:
    """Every lint rule and warning that does not count."""
    tools = tables.get("tool", {})
    lint = tools.get("ruff", {}).get("lint", {})
    warnings = tools.get("pytest", {}).get("ini_options", {}).get("filterwarnings", ["error"])
    assert warnings[0] == "error"
    groups = [lint.get("ignore", []), *lint.get("per-file-ignores", {}).values(), warnings[1:]]
    return [rule for group in groups for rule in group]


def unexplained(pyproject: str) -> list[str]:
    """Name each of them without a line of its own that ends in a comment."""
    tables = tomllib.loads(pyproject)
    explained = re.findall(r'^[^"#]*"([^"]+)"[\],]*\s*#\s*\w', pyproject, re.MULTILINE)
    return sorted((Counter([*dependencies(tables), *left_out(tables)]) - Counter(explained)).elements())


def test_every_dependency_and_exception_says_why() -> None:
    assert unexplained(PYPROJECT) == []


def test_a_dependency_without_a_reason_is_reported() -> None:
    assert unexplained("""
[project]
dependencies = [
    "a>=1",  # for this
    "b>=1",
    "c>=1",  #
    "d>=1", "e>=1",  # two on a line
]
[project.optional-dependencies]
f = ["f>=1"]  # for that
g = ["g>=1"]
[dependency-groups]
dev = [
    "h>=1"
]
""") == ["b>=1", "c>=1", "d>=1", "e>=1", "g>=1", "h>=1"]


def test_a_rule_left_out_without_a_reason_is_reported() -> None:
    assert unexplained("""
[tool.ruff.lint]
ignore = [
    "A1",  # for this
    "B1",
]
[tool.ruff.lint.per-file-ignores]
"tests/*" = [
    "A1",
    "C1",  # for that
]
[tool.pytest.ini_options]
filterwarnings = [
    "error",
    "ignore:D1",
]
""") == ["A1", "B1", "ignore:D1"]
