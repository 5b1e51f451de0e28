"""Takes a cure out of our code: a test runs with it and without it, and without it the bad thing must happen."""

import inspect
import textwrap
from types import FunctionType
from typing import Any

import pytest

with_and_without_the_cure = pytest.mark.parametrize("cured", [True, False], ids=["cured", "cure_taken_out"])


def without(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, cure: str, instead: str = "") -> None:
    """Make a function anew with some of its text replaced. The text must stand in it once: else the cure has moved."""
    function = vars(owner)[name]
    assert isinstance(function, FunctionType)
    source = textwrap.dedent(inspect.getsource(function))
    count = source.count(cure)
    assert count == 1, f"{owner.__name__}.{name} has {cure!r} {count} times; bring the test up to date"
    # The argument is what `super()` looks for.
    whole = f"def outer(__class__):\n{textwrap.indent(source.replace(cure, instead), '    ')}\n    return {name}\n"
    made: dict[str, Any] = {}
    exec(compile(whole, f"{name} without its cure", "exec"), function.__globals__, made)  # noqa: S102 - our own text
    monkeypatch.setattr(owner, name, made["outer"](owner))
