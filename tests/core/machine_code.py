"""Prints, as JSON, which compiled functions count references: by name, of every signature.

It must run on an empty kernel cache: what comes out of the cache can't be looked into.
"""

import json
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numba
import numpy as np

import streams.core
import streams.kafka
from streams.core.columns import Int64s
from streams.kafka.warm import warm_up
from tests.core.histories import CONDITIONS

CONTROL = "a plain function"


def plain(pair: tuple[Int64s, Int64s]) -> None:
    """Take an array out of a tuple, as the kernel does all the time: a reference that the compiler counts."""
    first = pair[0]
    first[0] = 1


def compiled_functions() -> Iterator[tuple[str, Any]]:
    """Every compiled function of the core and of the Kafka path, by file and name."""
    for package in (streams.core, streams.kafka):
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            module = import_module(found.name)
            for name, each in vars(module).items():
                if hasattr(each, "inspect_llvm") and each.__module__ == module.__name__:
                    yield f"{found.name.rpartition('.')[2]}.{name}", each


def counts_references(function: Any) -> bool | None:
    """Whether the code has calls that count; None where there is no code yet."""
    return any("NRT_" in code for code in function.inspect_llvm().values()) if function.signatures else None


def main() -> None:
    """Compile everything, and look."""
    warm_up(CONDITIONS)
    compiler: Any = numba.njit
    control = compiler(plain)
    control((np.zeros(1, np.int64), np.zeros(1, np.int64)))
    functions = {CONTROL: control, **dict(compiled_functions())}
    print(json.dumps({name: counts_references(function) for name, function in functions.items()}))  # noqa: T201 (its task)


if __name__ == "__main__":
    main()
