"""The coalescing window, one fire at a time, as plainly as it can be said. `gathered` must equal this.

Each execution costs whoever runs it a run. So a strategy may ask that what fires for it be gathered for so many ms of
stream time (`coalesce_ms`). The first fire opens a group; it is due when that time has passed, or when its bucket ends.
When stream time gets there the group closes before the tick is decided that brought it there, so a fire of that very
tick opens the next one. What a group holds hangs on the input alone, never on batches or checkpoints.

Not gathered is a fire of a whole strategy (there is one a bucket), and one of a bucket that stream time has left.
So of a strategy one group is open at most: that of the bucket in which stream time is.

A group that has no room for a ticker, as an execution would have none, closes there and then. A change of the strategy
closes its group first: what has fired goes out under the version that fired it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from streams.core.events import Fire, Strategy
from streams.core.timeframes import bucket_of, bucket_rule, parse_timeframe


@dataclass
class Group:
    """One execution in the making."""

    strategy: Strategy
    bucket_ms: int
    due_ms: int
    first_offset: int
    last_offset: int
    ts_ms: int
    tickers: list[str] = field(default_factory=list)
    used_bytes: int = 0


class Taken(NamedTuple):
    """What becomes of a tick's fires: groups that go out, and fires that are not gathered."""

    closed: list[Group]
    at_once: list[Fire]


class Gathering:
    """What one shard has gathered."""

    def __init__(self, room: int, default_ms: int = 0) -> None:
        self.room, self.default_ms = room, default_ms
        self.open: dict[str, Group] = {}

    def moved(self, stream_ms: int) -> list[Group]:
        """Stream time is here now, by a tick whose fires come next, or by the clock."""
        due = [sid for sid, group in self.open.items() if group.due_ms <= stream_ms]
        closed = [self.open.pop(sid) for sid in due]
        return sorted(closed, key=lambda group: (group.due_ms, *place_of(group)))

    def take(self, fires: Sequence[Fire], offset: int, stream_ms: int, strategies: Mapping[str, Strategy]) -> Taken:
        """The fires of one tick, by strategy id."""
        taken = Taken(self.moved(stream_ms), [])
        full: list[Group] = []
        for fire in fires:
            strategy = strategies[fire.strategy_id]
            due_ms = self._due(fire, strategy, stream_ms)
            if due_ms <= stream_ms:
                taken.at_once.append(fire)
                continue
            size = bytes_of(fire.ticker)
            group = self.open.get(fire.strategy_id)
            if group is not None and group.used_bytes + size > self.room:
                full.append(group)
                group = None
            if group is None:
                group = Group(strategy, fire.bucket_ms, due_ms, offset, offset, fire.ts_ms)
                self.open[fire.strategy_id] = group
            group.tickers.append(fire.ticker)
            group.used_bytes += size
            group.last_offset, group.ts_ms = offset, min(group.ts_ms, fire.ts_ms)
        return taken._replace(closed=taken.closed + sorted(full, key=place_of))

    def change(self, strategy_id: str) -> list[Group]:
        """Another version takes the place of the one in force."""
        group = self.open.pop(strategy_id, None)
        return [] if group is None else [group]

    def _due(self, fire: Fire, strategy: Strategy, stream_ms: int) -> int:
        """Until when a group that this fire opens may wait; a time that has come: it is not gathered."""
        window_ms = self.default_ms if strategy.coalesce_ms is None else strategy.coalesce_ms
        if not fire.ticker:
            return stream_ms
        rule = bucket_rule(parse_timeframe(strategy.timeframe), strategy.time_zone, strategy.session)
        _, end_ms = bucket_of(rule, fire.bucket_ms)
        return min(stream_ms + window_ms, end_ms)


def place_of(group: Group) -> tuple[int, str]:
    """Groups that close at the same time stand by when they were opened, then by strategy."""
    return group.first_offset, group.strategy.strategy_id


def bytes_of(ticker: str) -> int:
    """What a ticker takes in an execution: its length, in a byte or two, and its name."""
    size = len(ticker.encode())
    return size + (1 if size < 64 else 2)  # noqa: PLR2004 - zigzag takes a bit of the seven
