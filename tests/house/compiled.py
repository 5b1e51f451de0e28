"""Finds compiled functions that use a compiled function of another file.

The compiler's cache watches only the file a function stands in: when the other file changes, the old callee
would go on running inside the caller.
"""

import ast
from collections.abc import Iterator

from tests.house.names import dotted, origins
from tests.house.tree import Module

COMPILERS = frozenset(
    {
        "streams.core.jit.compiled",
        "streams.core.jit.letting_go",
        *(f"numba.{name}" for name in ("cfunc", "guvectorize", "jit", "njit", "stencil", "vectorize")),
    }
)


def compiled_functions(module: Module) -> Iterator[ast.FunctionDef]:
    """The functions of one file that a decorator hands to the compiler."""
    known = origins(module.tree)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef) and any(_compiles(each, known) for each in node.decorator_list):
            yield node


def _compiles(decorator: ast.expr, known: dict[str, str]) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return dotted(called, known) in COMPILERS


def problems(modules: list[Module]) -> list[str]:
    """Name each use of a compiled function in one of another file."""
    homes = {f"{module.name}.{function.name}" for module in modules for function in compiled_functions(module)}
    found = set()
    for module in modules:
        known = origins(module.tree)
        for function in compiled_functions(module):
            for node in ast.walk(function):
                name = dotted(node, known)
                if name in homes:
                    found.add(f"{module.path}:{getattr(node, 'lineno', 0)}: {function.name} uses {name}")
    return sorted(found)
