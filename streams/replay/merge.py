"""Files merged by time: ticks in the order of time, then of the files, then of their rows.

A file whose times rise is streamed; one whose times do not is sorted in memory first. A file is opened when the
others have come to its first tick, so days that lie apart are never in memory together.

The order does not hang on how files are cut into batches, that of the refused rows neither: such a row goes with the
tick before it, the first ones with the first tick.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from streams.core.limits import FOREVER, NEVER
from streams.errors import InputError
from streams.replay.limits import MAX_MERGED_FILES
from streams.replay.picked import part_of, picked, together
from streams.replay.runs import Placed, Run
from streams.replay.tick_columns import TickBatch
from streams.replay.tick_files import TickFile


class Span(NamedTuple):
    """What is known of a file before it is merged."""

    first_ms: int
    """Its earliest time; FOREVER where it has no tick."""
    rises: bool


class Timed(NamedTuple):
    """A refused row, and the time that it goes with."""

    ts_ms: int
    file: int
    row: int
    placed: Placed


def merged(files: Sequence[TickFile]) -> Iterator[Run]:
    """All ticks of the files by time."""
    spans = [span_of(file) for file in files]
    waiting = sorted(range(len(files)), key=lambda number: (spans[number].first_ms, number), reverse=True)
    streams: list[_Stream] = []
    while waiting or streams:
        last_ms, last = min(((stream.last_ms, stream.number) for stream in streams), default=(FOREVER, -1))
        if waiting and (not streams or spans[waiting[-1]].first_ms <= last_ms < FOREVER):
            number = waiting.pop()
            if len(streams) == MAX_MERGED_FILES:
                problem = f"more than {MAX_MERGED_FILES} files hold ticks of one time"
                raise InputError(str(files[number].path), problem, "join some of them first, sorted by ts")
            streams.append(_Stream(number, files[number], spans[number]))
            streams.sort(key=lambda stream: stream.number)
            continue
        yield from _up_to(last_ms, last, streams, files[0].batch_rows)
        streams = [stream for stream in streams if stream.goes_on()]


def span_of(file: TickFile) -> Span:
    """Read through the times of a file."""
    first_ms, newest, rises = FOREVER, NEVER, True
    for batch in file.batches():
        if len(batch.ts_ms):
            times = batch.ts_ms
            rises = rises and newest <= int(times[0]) and bool((times[1:] >= times[:-1]).all())
            first_ms, newest = min(first_ms, int(times.min())), int(times[-1])
    return Span(first_ms, rises)


def by_time(file: TickFile) -> Iterator[TickBatch]:
    """One file sorted by time, in memory; ticks of one time stay in the order of the file."""
    batches = list(file.batches())
    ticks = together(batches)
    order = np.argsort(ticks.ts_ms, kind="stable")
    rejects = [reject for batch in batches for reject in batch.rejects]
    for start in range(0, max(len(order), 1), file.batch_rows):
        batch = picked(ticks, order[start : start + file.batch_rows])
        yield batch if start else batch._replace(rejects=rejects)


class _Stream:
    """A file that is being merged, and the batch of it that waits."""

    def __init__(self, number: int, file: TickFile, span: Span) -> None:
        self.number = number
        self._rises = span.rises
        self._batches = file.batches() if span.rises else by_time(file)
        self._before_ms = span.first_ms
        self._batch: TickBatch | None = None
        self._refused: list[Timed] = []
        self._load()

    @property
    def last_ms(self) -> int:
        """The time up to which it is known."""
        return FOREVER if self._batch is None else int(self._batch.ts_ms[-1])

    def take(self, ms: int, *, and_at: bool) -> tuple[TickBatch | None, list[Timed]]:
        """What lies before a time, or at it too."""
        refused = [timed for timed in self._refused if timed.ts_ms < ms or (and_at and timed.ts_ms == ms)]
        self._refused = self._refused[len(refused) :]
        if self._batch is None:
            return None, refused
        count = int(np.searchsorted(self._batch.ts_ms, ms, "right" if and_at else "left"))
        taken = part_of(self._batch, 0, count)
        if count == len(self._batch.ts_ms):
            self._batch = None
        elif count:
            self._batch = part_of(self._batch, count, len(self._batch.ts_ms))
        return (taken if count else None), refused

    def goes_on(self) -> bool:
        """Whether there is more."""
        if self._batch is None:
            self._load()
        return self._batch is not None or bool(self._refused)

    def _load(self) -> None:
        """Read up to the next tick."""
        for batch in self._batches:
            self._refused += self._timed(batch)
            if len(batch.ts_ms):
                self._before_ms = int(batch.ts_ms[-1])
                self._batch = batch
                return

    def _timed(self, batch: TickBatch) -> Iterator[Timed]:
        """The refused rows of a batch, each with the time of the tick before it."""
        for reject in batch.rejects:
            at = int(np.searchsorted(batch.rows, reject.row)) if self._rises else 0
            ts_ms = int(batch.ts_ms[at - 1]) if at else self._before_ms
            yield Timed(ts_ms, self.number, reject.row, Placed(self.number, reject))


def _up_to(last_ms: int, last: int, streams: Sequence[_Stream], rows_at_most: int) -> Iterator[Run]:
    """All that comes before the end of the batch which ends first: that of the file `last`, at `last_ms`."""
    taken = [(stream.number, *stream.take(last_ms, and_at=stream.number <= max(last, 0))) for stream in streams]
    refused = [timed.placed for timed in sorted(timed for _, _, some in taken for timed in some)]
    parts = [(number, batch) for number, batch, _ in taken if batch is not None]
    if not parts:
        yield Run.of_none(refused)
        return
    ticks = together([batch for _, batch in parts])
    file_of = np.repeat(np.array([number for number, _ in parts], np.int32), [len(batch.ts_ms) for _, batch in parts])
    if len(parts) > 1:
        order = np.argsort(ticks.ts_ms, kind="stable")
        ticks, file_of = picked(ticks, order), file_of[order]
    for start in range(0, len(file_of), rows_at_most):
        end = min(start + rows_at_most, len(file_of))
        yield Run(part_of(ticks, start, end), file_of[start:end], [] if start else refused)
