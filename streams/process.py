"""How this process treats its memory, its threads and signals: small, without long searches, taking turns soon."""

import asyncio
import contextlib
import ctypes
import gc
import os
import signal
import sys
from collections.abc import Iterator
from typing import Final, NoReturn

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
"""They ask a process to end."""

PR_SET_PDEATHSIG: Final = 1
M_MMAP_THRESHOLD: Final = -3
M_ARENA_MAX: Final = -8
LARGE_BYTES: Final = 256 << 10
"""From this size on the C library maps a buffer by itself, and unmaps it when it is free.

Left alone, it raises this bound as it goes, and keeps what is free between buffers that are not: a worker that takes
large runs for hours would grow."""

ARENAS: Final = 2
"""Heaps beside each other; one for each thread would be eight a core."""

YOUNG_OBJECTS: Final = 50_000
"""New objects between two searches for circles. The default of 700 searches several times in a checkpoint."""

SWITCH_S: Final = 0.0005
"""How long a thread may hold the interpreter while another wants it: the event loop, or who decides a replay and comes
back from compiled code for a moment's work. Ticks would wait 5 ms by default; a replay waited a twentieth of its time.
"""


def keep_memory_small() -> None:
    """Ask the C library, where it is one that listens."""
    with contextlib.suppress(OSError, AttributeError):  # another C library; its own ways must do
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        libc.mallopt(M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Give memory that is free back to the system: what it took to make a state is not needed again."""
    with contextlib.suppress(OSError, AttributeError):  # as above
        ctypes.CDLL(None).malloc_trim(0)


def end_with_parent() -> None:
    """Have the kernel end this process when the thread that started it ends, where it is one that does such a thing."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def settle() -> None:
    """All that is there by now stays: leave it out of every later search. And let threads take turns soon."""
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 100)


@contextlib.contextmanager
def turns_soon() -> Iterator[None]:
    """Within, threads take turns soon."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(min(SWITCH_S, before_s))
    try:
        yield
    finally:
        sys.setswitchinterval(before_s)


@contextlib.contextmanager
def nothing_collected() -> Iterator[None]:
    """Within, nobody looks for circles of objects: sets of tickers have none, and each look goes through all."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def told_to_stop(over: asyncio.Event) -> None:
    """Have it set where one of the signals comes. For the event loop."""
    for each in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(each, over.set)


def end(code: int) -> NoReturn:
    """End without waiting for threads: one of Faust's may still ask a broker that does not answer."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
