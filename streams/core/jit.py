"""The one place that names the compiler.

A compiled function never calls a compiled function of another file: the compiler's cache watches only
the file a function stands in, and would go on using the old callee. A test of the house holds this.

Reference counting is off. Compiled code here makes no arrays, it only writes into those it is handed, and
the caller holds them while it runs; but the compiler counts references all the same, atomically and in the
innermost loops, which cost the decoder five sixths of its speed. The option has no public name, so a test
looks into the machine code for what it must not find.

Compiled code keeps the interpreter's lock (GIL). To let go of it looks free, and gives other threads a chance; but a
step calls a dozen of these functions, each for microseconds, and whoever lets go waits until the other thread's turn
is over. When a thread still fetched, at 50,000 ticks/s that made the median latency half as long again, and the p99 up
to four times as long; it brought no throughput. ARCHITECTURE.md has the figures.
"""

from collections.abc import Callable
from types import FunctionType
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])

_compiler = cast("Callable[..., Callable[[F], F]]", numba.njit)


def compiled(function: F) -> F:
    """Compile on the first call, and keep the machine code on disk."""
    return _compiler(cache=True, _nrt=False)(function)


def letting_go(function: F) -> F:
    """The same; and other threads run meanwhile. For calls of milliseconds alone."""
    return _compiler(cache=True, _nrt=False, nogil=True)(function)


def also_letting_go(function: F, name: str) -> F:
    """A compiled function once more, under this name, and other threads run meanwhile.

    Only what is called is compiled, so whoever calls one of the two does not wait for the other. The compiler's cache
    knows functions by their names.
    """
    plain = cast("FunctionType", vars(function).get("py_func", function))
    code = plain.__code__.replace(co_name=name, co_qualname=name)
    again = FunctionType(code, plain.__globals__, name, plain.__defaults__, plain.__closure__)
    again.__module__, again.__qualname__ = plain.__module__, name
    return letting_go(cast("F", again))
