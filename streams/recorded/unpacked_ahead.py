"""Responses unpacked in a thread of its own: of each partition, the next run while the last one is worked on."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol

from streams.kafka.fetch import RawRun
from streams.kafka.packed_fetch import Packed
from streams.kafka.record_batch import Limits
from streams.kafka.topic_spans import Span


class Responses(Protocol):
    """What `fetched_ahead.py` fetches."""

    def take(self, partition: int) -> Packed:
        """The next response of a partition."""

    def give_up(self) -> None:
        """Have nobody wait any more for what is to come."""


@contextmanager
def unpacked_ahead(fetched: Responses, spans: Mapping[int, Span], limits: Limits) -> Iterator[Callable[[int], RawRun]]:
    """The next run of a partition that is not at its end; raises what taking and unpacking one do.

    Where nobody reads on, nothing is waited for any more.
    """
    with ThreadPoolExecutor(1, "unpacking") as thread:
        runs = {partition: _runs(fetched, partition, limits) for partition in spans}
        coming: dict[int, Future[RawRun]] = {p: thread.submit(next, each) for p, each in runs.items()}

        def next_run(partition: int) -> RawRun:
            run = coming.pop(partition).result()
            if run.position < spans[partition].end:
                coming[partition] = thread.submit(next, runs[partition])
            return run

        try:
            yield next_run
        finally:
            fetched.give_up()
            thread.shutdown(cancel_futures=True)


def _runs(fetched: Responses, partition: int, limits: Limits) -> Iterator[RawRun]:
    while True:
        yield from fetched.take(partition).runs(limits)
