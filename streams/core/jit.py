"""The one place that names the compiler.

A compiled function never calls a compiled function of another file: the compiler's cache watches only
the file a function stands in, and would go on using the old callee. A test of the house holds this.

Reference counting is off. Compiled code here makes no arrays, it only writes into those it is handed, and
the caller holds them while it runs; but the compiler counts references all the same, atomically and in the
innermost loops, which cost the decoder five sixths of its speed. The option has no public name, so a test
looks into the machine code for what it must not find.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile on the first call, keep the machine code on disk, and let go of the GIL while it runs."""
    compiler = cast("Callable[..., Callable[[F], F]]", numba.njit)
    return compiler(cache=True, nogil=True, _nrt=False)(function)
