"""The runs of a checkpoint up to where they may be decided now; what comes behind is left to a later one.

An emission ends where strategies turn, where a shard waits for others to agree on a turn (`core/turning.py`), and at
least once where the rows promise no more time (`core/promise.py`).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from streams.core.columns import Ticks
from streams.core.promise import Promise
from streams.core.shard import Shard
from streams.core.tick_columns import clock_ticks, newest_ms, part_of
from streams.core.turning import Turning
from streams.kafka.bad_values import Reason
from streams.kafka.clock_values import judged
from streams.kafka.fetch import RawRun
from streams.kafka.tick_values import BadTick, TickRun


class Clocked(NamedTuple):
    """Of a run of clock records: the times that count, by row, and the records that do not."""

    times_ms: dict[int, int]
    bad: list[BadTick]


class FreeRuns:
    """Of one emission: clock records first, then ticks. Each run must be stepped before the next is asked for."""

    def __init__(self, turning: Turning, promise: Promise) -> None:
        self._turning, self._shard, self.promise = turning, turning.shard, promise
        self._begun = False
        self.left_clock: list[RawRun] = []
        self.left_ticks: list[RawRun] = []
        """What may not be decided yet."""
        self.waits_for = ""
        """What that waits for; nothing, where it is only another emission's."""
        self.outran = False
        """Whether it waits for rows that promise more time."""

    def clock(self, runs: Sequence[RawRun], times: Sequence[list[int | Reason]]) -> Iterator[tuple[RawRun, Clocked]]:
        """The runs of clock records."""
        for at, run in enumerate(runs):
            clocked = clocked_by(self._shard, times[at])
            free = self._free(clock_ticks([*clocked.times_ms.values()]))
            end = [*clocked.times_ms, len(run.columns)][free]
            good = {row: ts_ms for row, ts_ms in clocked.times_ms.items() if row < end}
            yield run, Clocked(good, [each for each in clocked.bad if each.row < end])
            if end < len(run.columns):
                self.left_clock = [cut(run, end)[1], *runs[at + 1 :]]
                self._wait(clock_ticks([*clocked.times_ms.values()]))
                return

    def ticks(self, runs: Sequence[RawRun], decoded: Sequence[TickRun]) -> Iterator[tuple[RawRun, TickRun]]:
        """The runs of ticks; none where clock records wait before them."""
        if self.left_clock:
            self.left_ticks = [*runs]
            return
        for at, (run, ticks) in enumerate(zip(runs, decoded, strict=True)):
            end = self._free(ticks.ticks)
            if end == len(run.columns):
                yield run, ticks
                continue
            first, rest = cut(run, end)
            self.left_ticks = [rest, *runs[at + 1 :]]
            self._wait(*(each.ticks for each in decoded[at:]))
            yield first, TickRun(part_of(ticks.ticks, 0, end), [each for each in ticks.bad if each.row < end])
            return

    def _free(self, ticks: Ticks) -> int:
        """How many of them may be decided."""
        free = self._turning.free(ticks, begun=self._begun, until_ms=self.promise.until_ms)
        self._begun = True
        self.waits_for = self._turning.told_why() if free.halted else ""
        self.outran = free.outran
        return free.ticks

    def _wait(self, *ticks: Ticks) -> None:
        """These wait, or some of them: where it is for time, let the next promise reach as far."""
        if self.outran:
            self.promise.must_reach(max(map(newest_ms, ticks)))


def clocked_by(shard: Shard, times: list[int | Reason]) -> Clocked:
    """What clock records do to a shard, if all of them may be taken."""
    found = dict(enumerate(judged(shard.stream_ms, times)))
    good = {row: ts_ms for row, ts_ms in found.items() if not isinstance(ts_ms, Reason)}
    return Clocked(good, [BadTick(row, reason) for row, reason in found.items() if isinstance(reason, Reason)])


def cut(run: RawRun, row: int) -> tuple[RawRun, RawRun]:
    """Two runs of one: the records before a row, and those from it on."""
    at = int(run.columns.offset[row]) if row else run.start
    first = run._replace(position=at, columns=run.columns.part(0, row))
    return first, run._replace(start=at, columns=run.columns.part(row, len(run.columns)))
