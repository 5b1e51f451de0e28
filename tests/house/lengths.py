"""Finds functions and files that are too long to be seen whole."""

import ast
from collections.abc import Iterator
from typing import NamedTuple

from tests.house.tree import Module


class Bound(NamedTuple):
    """How many lines there may be."""

    function: int
    file: int


CODE = Bound(function=40, file=300)
TESTS = Bound(function=60, file=500)


class TooLong(NamedTuple):
    """One thing past its bound: a file by its path, a function by `path::name`."""

    what: str
    lines: int
    bound: int

    def __str__(self) -> str:
        """Say what to do."""
        return f"{self.what} has {self.lines} lines; {self.bound} are allowed: split it"


def bound_for(path: str) -> Bound:
    """A test may be longer: it tells a story from top to bottom."""
    return TESTS if path.startswith("tests/") else CODE


def too_long(module: Module) -> Iterator[TooLong]:
    """Name the file, where it is too long, and each function that is."""
    bound = bound_for(module.path)
    lines = len(module.text.splitlines())
    if lines > bound.file:
        yield TooLong(module.path, lines, bound.file)
    yield from _functions_too_long(module.tree, f"{module.path}::", bound.function)


def _functions_too_long(parent: ast.AST, prefix: str, bound: int) -> Iterator[TooLong]:
    for node in ast.iter_child_nodes(parent):
        inner = prefix
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = f"{prefix}{node.name}."
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > bound and not isinstance(node, ast.ClassDef):
                yield TooLong(f"{prefix}{node.name}", lines, bound)
        yield from _functions_too_long(node, inner, bound)
