"""Sends the ticks of a file, at a pace or as fast as Kafka takes them. What is no tick is named and left out."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from streams.feeds.delivering import Target
from streams.feeds.encoded_ticks import TickEncoder
from streams.feeds.file_rest import FileRest
from streams.feeds.seldom import Seldom
from streams.feeds.synthetic import Ticks
from streams.feeds.trades import knows_too_many, whole_sizes
from streams.kafka.producing import Keyed
from streams.kafka.sending import given_up
from streams.replay.tick_columns import TickBatch
from streams.replay.tick_files import open_ticks

log = logging.getLogger(__name__)

BATCH_ROWS: Final = 1 << 15
LEAST_WAIT_S: Final = 0.005
NO_NUMBER: Final = "price or size is no number"


class Pace(NamedTuple):
    """When ticks are due; neither: at once."""

    rate: float | None
    """Ticks a second."""
    speed: float | None
    """Seconds of the ticks' own time in one second."""


class SentFile(NamedTuple):
    """What became of it."""

    ticks: int
    """Acknowledged, in the order of the file."""
    refused_rows: int
    resized: int
    not_delivered: int
    """On their way where it was told to stop: they may have arrived."""
    seconds: float


class Part(NamedTuple):
    """Ticks of some rows."""

    ticks: Ticks
    refused_rows: int
    resized: int


class FileFeed:
    """One run over one file."""

    def __init__(self, path: Path, schema_id: int, target: Target) -> None:
        self._path, self._schema_id, self._target = path, schema_id, target
        self._file = open_ticks(path, BATCH_ROWS)
        self._seldom = Seldom(target.now_s)
        self._encoder = TickEncoder((), schema_id, ())

    def parts(self) -> Iterator[Part]:
        """All ticks, some thousand at a time, in the order of the file."""
        rest = FileRest(self._path)
        for batch in self._file.batches():
            if knows_too_many(self._encoder):
                self._encoder = TickEncoder((), self._schema_id, ())
            price, size = rest.of(batch.rows)
            good = np.isfinite(price) & np.isfinite(size)
            for reject in batch.rejects:
                self._refuse(reject.row, f"{reject.reason}: {reject.detail}")
            for row in batch.rows[~good].tolist():
                self._refuse(row, NO_NUMBER)
            whole, resized = whole_sizes(size[good])
            ticks = Ticks(
                self._numbers(batch)[good], batch.ts_ms[good], price[good], whole, self._conditions(batch)[good]
            )
            yield Part(ticks, len(batch.rejects) + int(np.count_nonzero(~good)), resized)

    def _refuse(self, row: int, why: str) -> None:
        if self._seldom.may():
            log.warning("%s, row %d is no tick: %s%s", self._path, row, why, self._seldom.more())

    def _numbers(self, batch: TickBatch) -> npt.NDArray[np.int32]:
        numbers = np.array([self._encoder.names[name] for name in batch.names], np.int32)
        return numbers[batch.name_of] if len(numbers) else np.zeros(0, np.int32)

    def _conditions(self, batch: TickBatch) -> npt.NDArray[np.int32]:
        codes, ends = batch.codes.tolist(), batch.code_ends.tolist()
        starts = [0, *ends[:-1]]
        numbers = [self._encoder.conditions[tuple(codes[at:end])] for at, end in zip(starts, ends, strict=False)]
        return np.array(numbers, np.int32)

    async def send(self, pace: Pace, over: asyncio.Event, stopped_s: float) -> SentFile:
        """Send each tick when it is due, to the end of the file or until told to stop."""
        began_s = self._target.now_s()
        due, sent, refused, resized, lost = Due(pace), 0, 0, 0, 0
        for part in self.parts():
            refused, resized = refused + part.refused_rows, resized + part.resized
            due_s, at, count = due.of(part.ticks.ts_ms), 0, len(part.ticks.ts_ms)
            while at < count and not over.is_set():
                elapsed_s = self._target.now_s() - began_s
                end = int(np.searchsorted(due_s, elapsed_s, side="right"))
                if end <= at:
                    await stopped_within(over, max(LEAST_WAIT_S, float(due_s[at]) - elapsed_s))
                    continue
                if not await self._sent(Ticks._make(column[at:end] for column in part.ticks), over, stopped_s):
                    lost = end - at
                    break
                sent, at = sent + end - at, end
            if over.is_set():
                break
        return SentFile(sent, refused, resized, lost, round(self._target.now_s() - began_s, 3))

    async def _sent(self, ticks: Ticks, over: asyncio.Event, stopped_s: float) -> bool:
        """Send, and wait for it; where told to stop, for a while only."""
        target = self._target
        keyed = Keyed(target.topic, target.partitions, self._encoder.records(ticks))
        sending, told = asyncio.create_task(target.announcer.send([keyed], [])), asyncio.create_task(over.wait())
        try:
            await asyncio.wait({sending, told}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                await asyncio.wait({sending}, timeout=stopped_s)
            return sending.done() and sending.result() is not None
        finally:
            await given_up([sending, told])


class Due:
    """When ticks are due, in seconds from the first."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._count = 0
        self._first_ms: int | None = None

    def of(self, ts_ms: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Of the next ticks; none is due before one in front of it."""
        number = np.arange(self._count, self._count + len(ts_ms), dtype=np.float64)
        self._count += len(ts_ms)
        if self._pace.rate:
            return number / self._pace.rate
        if self._pace.speed and len(ts_ms):
            self._first_ms = int(ts_ms[0]) if self._first_ms is None else self._first_ms
            due: npt.NDArray[np.float64] = np.maximum.accumulate(ts_ms - self._first_ms) / 1_000 / self._pace.speed
            return due
        return np.zeros(len(ts_ms))


async def stopped_within(over: asyncio.Event, seconds: float) -> None:
    """Wait so long, or until told to stop."""
    try:
        async with asyncio.timeout(seconds):
            await over.wait()
    except TimeoutError:
        return
