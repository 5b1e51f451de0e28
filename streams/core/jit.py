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
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile on the first call, and keep the machine code on disk."""
    compiler = cast("Callable[..., Callable[[F], F]]", numba.njit)
    return compiler(cache=True, _nrt=False)(function)
