"""Runs of one shard that wait to be decided."""

from collections import deque

from streams.kafka.fetch import RawRun


class RunQueue(deque[RawRun]):
    """First in, first out."""

    def take(self, max_ticks: int) -> list[RawRun]:
        """Those that wait, up to a bound of ticks; one at least, where there is any."""
        runs: list[RawRun] = []
        ticks = 0
        while self and (not runs or ticks + len(self[0].columns) <= max_ticks):
            runs.append(self.popleft())
            ticks += len(runs[-1].columns)
        return runs
