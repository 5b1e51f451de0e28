"""Universes by their size: the classes of old, and the mean. A size of 0 stands for every ticker there is."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection
from typing import Final

SIZE_BOUNDS: Final = (10, 100, 1_000)
SIZE_CLASSES: Final = ("≤10", "≤100", "≤1000", ">1000")


def by_class(sizes: Collection[int]) -> list[int]:
    """How many universes each class has, of those that list tickers."""
    found = Counter(bisect_left(SIZE_BOUNDS, size) for size in sizes if size)
    return [found[at] for at in range(len(SIZE_CLASSES))]


def average(sizes: Collection[int]) -> float:
    """The mean size of those that list tickers."""
    listed = [size for size in sizes if size]
    return sum(listed) / len(listed) if listed else 0.0
