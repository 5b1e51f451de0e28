"""Some steps ahead: the next items are made in a thread of their own while the last one is worked on."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar

from streams.process import turns_soon

Item = TypeVar("Item")

STEPS: Final = 3
"""So many items wait at most, where nothing else is said. More would only smooth what is uneven over a longer time."""


@contextmanager
def ahead(items: Iterable[Item], steps: int = STEPS) -> Iterator[Iterator[Item]]:
    """The items, begun at once. What making one raises comes in its place; what was not asked for is not made.

    Whatever makes them is closed at the end, so that nothing goes on which it has begun.
    """
    iterator = iter(items)
    thread = ThreadPoolExecutor(1)
    coming = deque(thread.submit(next, iterator, None) for _ in range(steps))

    def made() -> Iterator[Item]:
        while (item := coming.popleft().result()) is not None:
            coming.append(thread.submit(next, iterator, None))
            yield item

    try:
        with turns_soon():
            yield made()
    finally:
        thread.shutdown(cancel_futures=True)
        if isinstance(iterator, Generator):
            iterator.close()
