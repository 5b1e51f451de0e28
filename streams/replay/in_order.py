"""The ticks of all files in the order that was asked for."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from streams.core.limits import NEVER
from streams.errors import InputError
from streams.replay.merge import merged
from streams.replay.runs import Run
from streams.replay.tick_columns import TickBatch
from streams.replay.tick_files import TickFile


class Order(StrEnum):
    """What rows whose times run backwards mean."""

    STRICT = "strict"
    """A mistake: say where, and stop. Files come by their first ticks."""
    ARRIVAL = "arrival"
    """They came in like that: the late ones are late, as they would have been live. Files come as they are named."""
    TIME = "time"
    """Files overlap, or were shuffled: by time, then file, then row. A shuffled file takes memory for all its ticks."""


class Newest(NamedTuple):
    """The last tick so far, and the file it stands in."""

    ts_ms: int
    file: TickFile


def in_order(files: Sequence[TickFile], order: Order) -> Iterator[Run]:
    """The ticks of all files, with their times held against the order that was asked for."""
    if order is Order.TIME:
        yield from merged(files)
        return
    numbers = list(range(len(files)))
    if order is Order.STRICT and len(files) > 1:
        first_ms = [file.first_ms() for file in files]
        numbers.sort(key=first_ms.__getitem__)
    newest = Newest(NEVER, files[numbers[0]])
    for number in numbers:
        for batch in files[number].batches():
            if order is Order.STRICT and len(batch.ts_ms):
                newest = _checked(batch, files[number], newest)
            yield Run.of_file(number, batch)


def _checked(batch: TickBatch, file: TickFile, newest: Newest) -> Newest:
    """Refuse a time that is before another one that came first."""
    falls = bool(batch.ts_ms[0] < newest.ts_ms)
    if falls and file is not newest.file:
        raise InputError(
            f"{file.path}, row {batch.rows[0]}, ts",
            f"{batch.ts_ms[0]} is before {newest.ts_ms}, the last time of {newest.file.path}: the files overlap",
            "take the ticks out of one of them that are in both; or say --order time, where all of them count (merge)",
        )
    backwards = batch.ts_ms[1:] < batch.ts_ms[:-1]
    if falls or backwards.any():
        at = 0 if falls else int(backwards.argmax()) + 1
        before = newest.ts_ms if falls else batch.ts_ms[at - 1]
        raise InputError(
            f"{file.path}, row {batch.rows[at]}, ts",
            f"{batch.ts_ms[at]} is before {before}, the time of the row above",
            "sort the file by ts; or say --order time (sort here), or --order arrival (late ticks stay late)",
        )
    return Newest(int(batch.ts_ms[-1]), file)
