"""Finds what may not stand in `streams/core`: an import outward, a clock, a random number, any IO."""

import ast
from collections.abc import Iterator

from tests.house.names import dotted, origins
from tests.house.tree import Module

STANDARD = frozenset(
    """
    __future__ abc array bisect calendar collections contextlib dataclasses datetime difflib enum fractions functools
    hashlib heapq itertools math numbers operator re string struct types typing unicodedata zlib zoneinfo
    """.split()  # noqa: SIM905 - a list would take a line for each
)
"""The parts of the standard library that neither look at the world nor change it."""

PACKAGES = frozenset({"numpy", "numba"})

LAZY = {"streams/core/sessions.py": "exchange_calendars"}
"""What one file may import inside a function. Exchange calendars are data, but come as an optional package."""

BUILTINS = frozenset({"__import__", "breakpoint", "compile", "eval", "exec", "input", "open", "print"})

BANNED = (
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "numba.objmode",
    "numpy.DataSource",
    "numpy.fromfile",
    "numpy.genfromtxt",
    "numpy.lib",
    "numpy.load",
    "numpy.loadtxt",
    "numpy.memmap",
    "numpy.random",
    "numpy.save",
    "numpy.savetxt",
    "numpy.savez",
    "numpy.savez_compressed",
)
"""What reads a clock, draws a number or does IO in what may be imported; what is inside them is banned too."""

METHODS = frozenset({"now", "read_bytes", "read_text", "today", "tofile", "utcnow", "write_bytes", "write_text"})
"""The same by the name of the method, where the object it is called on cannot be told."""


def problems(module: Module) -> list[str]:
    """Say all that is wrong in one file, each with its line."""
    found = [*_imports(module), *_uses(module)]
    return [f"{module.path}:{line}: {what}" for line, what in sorted(set(found))]


def lazy_imports(module: Module) -> set[str]:
    """Name the packages that are imported inside functions only."""
    inside = {id(node) for function in _functions(module.tree) for node in ast.walk(function)}
    imports = [(id(node) in inside, name) for node, name in _imported(module.tree)]
    outside = {name.partition(".")[0] for within, name in imports if not within}
    return {name.partition(".")[0] for within, name in imports if within} - outside


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _imported(tree: ast.Module) -> Iterator[tuple[ast.stmt, str]]:
    """Every import, with the dotted name of what it brings in; a leading dot where it is relative."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            prefix = "." * node.level + (node.module or "")
            yield from ((node, f"{prefix}.{alias.name}") for alias in node.names)


def _imports(module: Module) -> Iterator[tuple[int, str]]:
    lazy = lazy_imports(module) & {LAZY.get(module.path, "")}
    for node, name in _imported(module.tree):
        top = name.partition(".")[0]
        if f"{name}.".startswith("streams.core.") or top in STANDARD | PACKAGES | lazy:
            continue
        yield node.lineno, f"imports {name}"


def _uses(module: Module) -> Iterator[tuple[int, str]]:
    known = origins(module.tree)
    for statement, name in _imported(module.tree):
        if _is_banned(name):
            yield statement.lineno, f"imports {name}"
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Name | ast.Attribute):
            continue
        name = dotted(node, known)
        if name.removeprefix("builtins.") in BUILTINS or _is_banned(name):
            yield node.lineno, f"uses {name}"
        elif isinstance(node, ast.Attribute) and node.attr in METHODS:
            yield node.lineno, f"uses .{node.attr}"


def _is_banned(name: str) -> bool:
    return any(f"{name}.".startswith(f"{banned}.") for banned in BANNED)
