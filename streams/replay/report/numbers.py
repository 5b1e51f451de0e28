"""What a report counts: one pass over the executions, into bins whose number does not grow with the day."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from streams.core.events import Mode
from streams.replay.limits import MAX_TIME_BINS
from streams.replay.result_folder import EXECUTIONS, Numbered, bounds_of, execution_batches
from streams.replay.tick_columns import Int32s, Int64s

MODES: Final = [mode.value for mode in Mode]

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

STEPS_MS: Final = (
    *(SECOND, 5 * SECOND, 15 * SECOND, 30 * SECOND),
    *(MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE),
    *(HOUR, 2 * HOUR, 4 * HOUR, 6 * HOUR, 12 * HOUR),
    *(DAY * days for days in (1, 2, 7, 14, 28, 56, 112, 224, 448)),
)
"""Widths of a column in time. With the last of them 130 years have 106."""

DELAYS: Final = (
    *((100, "0.1 s"), (SECOND, "1 s"), (5 * SECOND, "5 s"), (15 * SECOND, "15 s"), (30 * SECOND, "30 s")),
    *((MINUTE, "1 min"), (2 * MINUTE, "2 min"), (5 * MINUTE, "5 min"), (15 * MINUTE, "15 min")),
    *((HOUR, "1 h"), (4 * HOUR, "4 h"), (DAY, "1 day")),
)
"""Up to when a ticker's first tick in a bucket came, after its start."""


class Time(NamedTuple):
    """The time that executions lie in, cut into columns."""

    start_ms: int
    step_ms: int
    columns: int
    first_ms: int
    last_ms: int


class Numbers(NamedTuple):
    """What was counted. The first run is the one that others are held against."""

    time: Time | None
    """None where there is no execution."""
    over_time: Int64s
    """By run, mode and column of time."""
    delays: Int64s
    """Of the first run: by mode, and how long after the start of the bucket."""
    tickers: list[tuple[str, int]]
    """Of the first run: how often each ticker ran for itself, the busiest first."""


def count(folder: Path, members: Sequence[npt.NDArray[np.bool_]]) -> Numbers:
    """Count the executions of some runs; each says of every definition whether it holds it."""
    path = folder / EXECUTIONS
    time = time_of(path)
    counted = _Counted(time, members)
    for batch in execution_batches(path, with_definition=len(members) > 1 or not members[0].all()):
        counted.add(batch)
    return counted.numbers()


def time_of(path: Path) -> Time | None:
    """The time from the first to the last execution, as the file's statistics have it."""
    first_ms, last_ms = bounds_of(path, "ts")
    if first_ms > last_ms:
        return None
    step_ms = next((step for step in STEPS_MS if last_ms // step - first_ms // step < MAX_TIME_BINS), STEPS_MS[-1])
    start_ms = first_ms // step_ms * step_ms
    return Time(start_ms, step_ms, (last_ms - start_ms) // step_ms + 1, first_ms, last_ms)


class _Counted:
    """Counts in the making."""

    def __init__(self, time: Time | None, members: Sequence[npt.NDArray[np.bool_]]) -> None:
        self.time, self.members = time, members
        self.over_time = np.zeros((len(members), len(MODES), time.columns if time else 0), np.int64)
        self.delays = np.zeros((len(MODES), len(DELAYS) + 1), np.int64)
        self.of_ticker = np.zeros(0, np.int64)
        self.names: dict[str, int] = {}
        self._ticker = Numbered(self.names, grows=True)
        self._mode = Numbered({mode: number for number, mode in enumerate(MODES)})
        self._bounds = np.array([bound for bound, _ in DELAYS])

    def add(self, batch: Any) -> None:  # noqa: ANN401 - pyarrow has no types
        """Count one batch."""
        assert self.time is not None, "where there are rows there is a time"
        ts_ms, bucket_ms = batch.column("ts").to_numpy(), batch.column("bucket_ms").to_numpy()
        mode, ticker = self._mode.numbers(batch.column("mode")), self._ticker.numbers(batch.column("ticker"))
        cell = mode * np.int64(self.time.columns) + (ts_ms - self.time.start_ms) // self.time.step_ms
        definition = batch.column("definition").to_numpy() if "definition" in batch.schema.names else None
        for run, member in enumerate(self.members):
            held = cell if definition is None else cell[member[definition]]
            self.over_time[run] += np.bincount(held, minlength=self.over_time[run].size).reshape(len(MODES), -1)
        if definition is not None:
            first = self.members[0][definition]
            ts_ms, bucket_ms, mode, ticker = ts_ms[first], bucket_ms[first], mode[first], ticker[first]
        delay = np.searchsorted(self._bounds, ts_ms - bucket_ms, side="right")
        by_mode = mode * np.int64(self.delays.shape[1]) + delay
        self.delays += np.bincount(by_mode, minlength=self.delays.size).reshape(self.delays.shape)
        self._count_tickers(ticker)

    def _count_tickers(self, ticker: Int32s) -> None:
        counts = np.bincount(ticker[ticker >= 0], minlength=len(self.names))
        self.of_ticker = np.pad(self.of_ticker, (0, len(counts) - len(self.of_ticker))) + counts

    def numbers(self) -> Numbers:
        """All of it."""
        names = list(self.names)
        tickers = [(names[at], int(self.of_ticker[at])) for at in np.flatnonzero(self.of_ticker).tolist()]
        tickers.sort(key=lambda each: (-each[1], each[0]))
        return Numbers(self.time, self.over_time, self.delays, tickers)
