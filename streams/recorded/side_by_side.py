"""Several topics read whole at the same time, each some records ahead: most of what one takes is waiting."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from typing import Final

from streams.kafka.whole_topic import Record
from streams.replay.ahead import ahead

AT_ONCE: Final = 500
"""Records that come as one."""

Begun = Mapping[str, Iterator[Record]]
"""By topic: its records, once."""


@contextmanager
def side_by_side(read: Callable[[str], Iterator[Record]], topics: Iterable[str]) -> Iterator[Begun]:
    """The topics, begun at once. What goes wrong with one is raised where its records are asked for."""
    with ExitStack() as stack:
        lists = {topic: stack.enter_context(ahead(_some_at_once(read(topic)))) for topic in topics}
        yield {topic: chain.from_iterable(each) for topic, each in lists.items()}


def _some_at_once(records: Iterator[Record]) -> Iterator[list[Record]]:
    """Lists of records, none of them empty."""
    while some := list(islice(records, AT_ONCE)):
        yield some
