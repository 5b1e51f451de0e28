"""Bytes that end where readable memory ends: reading one more ends the process."""

import ctypes
import mmap
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from streams.core.columns import Bytes

NO_ACCESS = 0
ALL_ACCESS = mmap.PROT_READ | mmap.PROT_WRITE
LIBC = ctypes.CDLL(None, use_errno=True)


@contextmanager
def guarded(content: bytes) -> Iterator[Bytes]:
    """Put the content before a page that nobody may touch; the pages go with the last array that looks into them."""
    room = -(-max(len(content), 1) // mmap.PAGESIZE) * mmap.PAGESIZE
    pages = mmap.mmap(-1, room + mmap.PAGESIZE)
    whole = np.frombuffer(pages, np.uint8)
    _protect(whole, room, NO_ACCESS)
    try:
        data = whole[room - len(content) : room]
        data[:] = np.frombuffer(content, np.uint8)
        yield data
    finally:
        _protect(whole, room, ALL_ACCESS)


def _protect(whole: Bytes, room: int, access: int) -> None:
    address = ctypes.c_void_p(whole.ctypes.data + room)
    if LIBC.mprotect(address, ctypes.c_size_t(mmap.PAGESIZE), access) != 0:
        raise OSError(ctypes.get_errno(), "mprotect")
