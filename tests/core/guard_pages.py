"""Memory that ends where a page begins that may not be touched: a read or a write past the end kills the process."""

import ctypes
import mmap
import os
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from streams.core.columns import Bytes, Int64s

PAGE: Final = mmap.PAGESIZE
FORBIDDEN: Final = 0
"""Neither read nor written."""

Array = TypeVar("Array", bound=npt.NDArray[Any])


def forbid(page: Bytes) -> None:
    """Let nobody touch a page from here on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(page.ctypes.data), ctypes.c_size_t(len(page)), FORBIDDEN) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def guarded(array: Array) -> Array:
    """A copy that ends at a page that may not be touched."""
    size = -(-array.nbytes // PAGE) * PAGE
    memory = np.frombuffer(mmap.mmap(-1, size + PAGE), np.uint8)
    forbid(memory[size:])
    copy: Array = memory[size - array.nbytes : size].view(array.dtype)  # type: ignore[assignment]
    copy[:] = array
    return copy


class Slots:
    """Room for values: each ends at a forbidden page, and stands behind the forbidden page of the one before."""

    def __init__(self, count: int, pages: int) -> None:
        self.size, self.step = pages * PAGE, (pages + 1) * PAGE
        self.memory = np.frombuffer(mmap.mmap(-1, PAGE + count * self.step), np.uint8)
        for page in range(0, len(self.memory), self.step):
            forbid(self.memory[page : page + PAGE])

    def place(self, values: Sequence[bytes]) -> tuple[Bytes, Int64s, Int64s]:
        """All the memory, and where the values start and end in it."""
        ends = np.arange(1, len(values) + 1) * self.step
        starts = ends - np.array([len(value) for value in values])
        for value, start, end in zip(values, starts.tolist(), ends.tolist(), strict=True):
            self.memory[start:end] = np.frombuffer(value, np.uint8)
        return read_only(self.memory), starts, ends

    def place_alone(self, value: bytes) -> tuple[Bytes, Int64s, Int64s]:
        """One value, which is all that its array holds."""
        data, starts, ends = self.place([value])
        return data[starts[0] : ends[0]], starts - starts, ends - starts


def read_only(array: Bytes) -> Bytes:
    """The same memory, as bytes from elsewhere come."""
    view = array.view()
    view.flags.writeable = False
    return view
