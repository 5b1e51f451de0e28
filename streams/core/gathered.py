"""What one shard has gathered and not sent yet: groups of fires, in columns. `gathering` tells the rules.

gathered = shard.gathered
at_once = gathered.take(fires, Step(...), rank, room)     # after each step
gathered.close_due(shard.stream_ms)                       # where an emission ends
sent = gathered.take_closed(rank)                         # in their order, to be encoded

What a change of a strategy closes is taken before the next step, so that it goes out under the version that fired it.
What is gathered is bounded by the pairs of the shard: a pair fires once a bucket, and stands in one group at most.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from streams.core import gathering_kernel as kernel
from streams.core.columns import Bytes, Fires, Int32s, Int64s, Ticks, grown
from streams.core.events import Strategy
from streams.core.gathering_kernel import Closed, Links, Open
from streams.core.index import Index
from streams.core.limits import FOREVER
from streams.core.order import order_of

_FILLS: Final = Open(0, FOREVER, 0, 0, 0, 0, 0, kernel.NO_LINK, kernel.NO_LINK, 0)  # type: ignore[arg-type]  # of each column, one entry
_KINDS: Final = (*[np.int64] * 6, *[np.int32] * 3, np.uint8)
_CLOSED_KINDS: Final = (np.int32, *[np.int64] * 7, np.int32, np.int32)


class Step(NamedTuple):
    """Ticks that have been decided."""

    ticks: Ticks
    offsets: Int64s
    before_ms: int
    """What stream time was before them."""


class Sent(NamedTuple):
    """Groups that go out, in their order, and their tickers, one group behind the other."""

    strategy: Int32s
    bucket_ms: Int64s
    first_offset: Int64s
    last_offset: Int64s
    ts_ms: Int64s
    used_bytes: Int64s
    tickers: Int32s
    members: Int32s
    ends: Int64s
    """Where the members of each end."""
    fired_under: Mapping[int, Strategy]
    """By number, the version that fired, where it does not stand any more."""


class Group(NamedTuple):
    """One group, but for its tickers."""

    strategy: Strategy
    """The version that fired it; of one that came back from the changelog, no more is known than an execution tells."""
    bucket_ms: int
    due_ms: int
    first_offset: int
    last_offset: int
    ts_ms: int


class Gathered:
    """The groups of one shard."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._open = Open._make(np.full(0, fill, kind) for fill, kind in zip(_FILLS, _KINDS, strict=True))
        self._links, self._free = Links(*np.zeros((2, 0), np.int32)), kernel.NO_LINK
        self.count = 0
        """Tickers that are gathered, and those that wait to be taken."""
        self._closed: list[Closed] = []
        self._fired_under: dict[int, Strategy] = {}
        """By number, the version that fired, where it stands no more, or is not known to stand."""
        self._written: Bytes = np.zeros(0, np.uint8)
        """By strategy: 1 where the changelog has a row."""
        self._is_used = False
        """Whether anything may be gathered, or in a row."""

    @property
    def due_ms(self) -> int:
        """When the next group is due; FOREVER: none is open."""
        return int(self._open.due_ms.min(initial=FOREVER))

    @property
    def has_closed(self) -> bool:
        """Whether groups wait to be sent."""
        return bool(self._closed)

    def take(self, fires: Fires, step: Step, rank: Int32s, room: int) -> Fires:
        """Gather what fired in a step; returns the fires that are not gathered. `room`: of an execution's tickers."""
        if not self._index.windows.count or not len(fires.tick):
            return fires
        self._make_room(len(fires.tick))
        ticks, offsets = len(step.offsets), step.offsets
        stream_ms, at_once = np.empty(ticks, np.int64), np.empty(len(fires.tick), np.uint8)
        kernel.stream_times(step.ticks, step.before_ms, stream_ms)
        order, out = order_of(fires.tick, fires.strategy, rank, ticks), closed_columns(len(fires.tick))
        columns = self._index.columns
        rules = (
            self._index.windows.ms,
            columns.strategies.rule,
            columns.rules,
            self._index.tickers.names.lengths,
            room,
        )
        groups = (self._open, self._links, self._free)
        self._free, count = kernel.gather(fires, order, stream_ms, offsets, *rules, *groups, out, at_once)
        self._keep(out, count)
        stays = at_once == 1
        self.count += len(stays) - int(np.count_nonzero(stays))
        return Fires._make(column[stays] for column in fires)

    def close_due(self, stream_ms: int) -> None:
        """Stream time is here: what is due goes out."""
        if self._is_used and self.due_ms <= stream_ms:
            out = closed_columns(len(self._open.due_ms))
            self._keep(out, kernel.close_due(stream_ms, self._open, out))

    def stands(self, number: int, before: Strategy | None, now: Strategy) -> None:
        """A version stands now, in place of another: what that has fired goes out.

        Not so where it is the one that fired what has come back from the changelog, by all that is known of that.
        """
        fired = self._fired_under.get(number)
        if fired is None:
            if before is not None:
                self.ends(number, before)
        elif (fired.version, fired.timeframe) != (now.version, now.timeframe):
            self.ends(number, fired)
        elif self._is_open(number):
            del self._fired_under[number]

    def ends(self, number: int, before: Strategy) -> None:
        """A version stands no more: what it has fired goes out."""
        if self._is_open(number):
            fired = self._fired_under.setdefault(number, before)
            assert fired.version, "who fired has a version"
            due_ms, out = int(self._open.due_ms[number]), closed_columns(1)
            self._keep(out, kernel.close(number, due_ms, kernel.IN_TIME, self._open, out, 0))

    def all_stand(self) -> None:
        """All that stand have been told: what others have fired before, that are not there any more, goes out."""
        for number, fired in list(self._fired_under.items()):
            self.ends(number, fired)

    def take_closed(self, rank: Int32s) -> Sent | None:
        """The groups that have closed, in their order; they are gone from here."""
        if not self._closed:
            return None
        closed = Closed._make(map(np.concatenate, zip(*self._closed, strict=True)))
        self._closed.clear()
        order = np.lexsort((rank[closed.strategy], closed.first_offset, closed.full_at, closed.closed_ms))
        closed = Closed._make(column[order] for column in closed)
        members, ends = np.empty(int(closed.tickers.sum()), np.int32), np.empty(len(order), np.int64)
        self._free = kernel.take_members(closed.head, self._links, self._free, members, ends)
        self.count -= len(members)
        mine = self._fired_under.keys() & set(closed.strategy.tolist())
        versions = {number: self._fired_under.pop(number) for number in mine}
        spans = (closed.first_offset, closed.last_offset, closed.ts_ms, closed.used_bytes, closed.tickers)
        return Sent(closed.strategy, closed.bucket_ms, *spans, members, ends, versions)

    def put_back(self, number: int, group: Group, tickers: Int32s) -> None:
        """Open a group as its row in the changelog has it."""
        self._index.windows.make_room(number)
        self._make_room(len(tickers))
        kernel.open_group(number, group.bucket_ms, group.due_ms, group.first_offset, group.ts_ms, self._open)
        lengths = self._index.tickers.names.lengths
        self._free = kernel.join_all(
            number, tickers, lengths, group.last_offset, group.ts_ms, self._open, self._links, self._free
        )
        self.count += len(tickers)
        self._open.changed[number], self._written[number] = 0, 1
        self._fired_under[number] = group.strategy

    def take_changed(self) -> tuple[list[int], list[int]]:
        """The strategies whose rows must be written, and those whose rows must go. They count as done."""
        if not self._is_used:
            return [], []
        changed = np.flatnonzero(self._open.changed)
        is_open = self._open.due_ms[changed] != FOREVER
        here, gone = changed[is_open], changed[~is_open & (self._written[changed] == 1)]
        self._open.changed[changed] = 0
        self._written[here], self._written[gone] = 1, 0
        self._is_used = bool(self._index.windows.count or self._written.any())
        return here.tolist(), gone.tolist()

    def group(self, number: int) -> tuple[Group, int]:
        """A strategy's group, and how many tickers are in it."""
        strategy = self._fired_under.get(number) or self._index.entries[self._index.ids[number]].strategy
        groups = self._open
        spans = (groups.bucket_ms, groups.due_ms, groups.first_offset, groups.last_offset, groups.ts_ms)
        return Group(strategy, *(int(column[number]) for column in spans)), int(groups.tickers[number])

    def names(self, numbers: list[int]) -> list[bytes]:
        """Of each of these strategies' groups, the tickers, the length of each in a byte before it."""
        heads, ends = self._open.head[numbers], np.empty(len(numbers), np.int64)
        out = np.empty(int(self._open.used_bytes[numbers].sum()), np.uint8)
        kernel.put_names(heads, self._links, self._index.tickers.names, out, ends)
        raw, stops = out.tobytes(), ends.tolist()
        return [raw[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]

    def _is_open(self, number: int) -> bool:
        return number < len(self._open.due_ms) and bool(self._open.due_ms[number] != FOREVER)

    def _keep(self, out: Closed, count: int) -> None:
        if count:
            self._closed.append(Closed._make(column[:count] for column in out))

    def _make_room(self, more: int) -> None:
        """Let the columns hold every strategy, and so many tickers more than there are."""
        self._is_used = True
        size, links = len(self._index.windows.ms), len(self._links.ticker)
        if len(self._open.due_ms) < size:
            filled = zip(self._open, _FILLS, strict=True)
            self._open = Open._make(grown(column, size, fill) for column, fill in filled)  # type: ignore[arg-type]  # as above
            self._written = grown(self._written, size, 0)
        if self.count + more > links:
            self._links = Links._make(grown(column, self.count + more, 0) for column in self._links)
            self._free = kernel.add_free(self._links, links, self._free)


def closed_columns(size: int) -> Closed:
    """Room for so many groups."""
    return Closed._make(np.empty(size, kind) for kind in _CLOSED_KINDS)
