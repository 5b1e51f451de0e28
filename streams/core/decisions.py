"""Why strategies that somebody asked for fired or did not: worked out beside the kernel, for them alone.

recorder = Recorder(shard.index, asked)
recorder.before(ticks)                 # what each tick is to each asked-for pair, as the pairs stand
fires = shard.step(ticks)
recorder.after(fires)                  # what fired, as the kernel says
decisions = recorder.take()            # at the end of an emission: one for each asked-for strategy

Nothing of this is in the kernel, so it costs nothing where nobody asks. Where somebody does, each tick of a ticker that
an asked-for strategy watches is held against that pair once more. The fires are the kernel's own.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from operator import is_not
from typing import Final, NamedTuple

import numpy as np

from streams.core.asked import Asked
from streams.core.asked_pairs import BUCKET_DUP, NO_BUCKET, NO_SLOT, REASONS, bucket_at, hold, slots_of, watch_of
from streams.core.columns import Scalars, grown
from streams.core.entry import Entry
from streams.core.events import Strategy
from streams.core.index import Index
from streams.core.limits import MAX_ASKED_PAIRS, MAX_ASKED_STRATEGIES, MAX_TICKERS_NAMED, NEVER
from streams.core.shard import EVERY_TICKER, Fires, Ticks
from streams.core.turns import Turn

FIRED: Final = "fired"
NO_UPDATE: Final = "no_update"


class Said(NamedTuple):
    """What came of one ticker: a fire, or all ticks that were skipped for one reason."""

    ticker: str
    outcome: str
    bucket_ms: int
    """Of skips the newest of the ticker; -1 where there is none."""
    ticks: int


class Decision(NamedTuple):
    """What one emission did with one strategy."""

    strategy: Strategy
    """Without its universe."""
    mode: str
    outcome: str
    """What it did, if it fired anything; else why not, for most of the ticks."""
    bucket_ms: int
    """The newest that is said of it; -1 for none."""
    universe: int
    """Its tickers in this shard."""
    updated: int
    """Tickers of the shard that were updated."""
    changed: int
    """Those of both."""
    said: list[Said]
    left_out: int
    """Of `said`, for want of room."""
    counts: Mapping[str, int]


class Recorder:
    """Of one shard."""

    def __init__(self, index: Index, asked: Asked) -> None:
        self._index, self._asked = index, asked
        self._met = 0
        """Strategies that were looked at, whether they are asked for."""
        self._entries: list[Entry] = []
        self.left_out: list[str] = []
        """Strategies that are asked for and past a bound; whoever tells of them clears this."""
        self._standing: list[Strategy | Turn | None] = []
        """Of each entry, what stood when the watch was made, and the turn that it decided under."""
        self._watch, self._slots = watch_of(index, []), list(slots_of([]))
        self._step = self._emission = 1
        self._fires: dict[int, list[tuple[int, int]]] = {}
        self._all_names: list[str] = []

    def before(self, ticks: Ticks) -> None:
        """Look at the ticks of a step before it is made."""
        self._follow()
        self._step += 1
        hold(self._index.columns, ticks, self._watch, self._step, self._emission)

    def after(self, fires: Fires) -> None:
        """Take what the step has fired."""
        numbers = [entry.number for entry in self._entries]
        which = np.flatnonzero(np.isin(fires.strategy, numbers))
        columns = (fires.strategy[which], fires.ticker[which], fires.bucket_ms[which])
        for strategy, ticker, bucket_ms in zip(*(column.tolist() for column in columns), strict=True):
            self._fires.setdefault(strategy, []).append((ticker, bucket_ms))

    def take(self) -> list[Decision]:
        """What the emission did with each asked-for strategy that decides here; without ticks, those that fired."""
        watch, updated = self._watch, int(np.count_nonzero(self._watch.updated == self._emission))
        pairs = zip(self._entries, self._slots, strict=True)
        told = [(entry, slots) for entry, slots in pairs if updated or entry.number in self._fires]
        found = [self._decision(entry, slots, updated) for entry, slots in told if self._decides(entry)]
        watch.skips[:], watch.bucket_ms[:] = 0, NEVER
        self._emission += 1
        self._fires.clear()
        return found

    def _decides(self, entry: Entry) -> bool:
        """Whether it does here: it has pairs, or is at home as a whole; or it is skipped for want of a timeframe."""
        index, strategy_id = self._index, entry.strategy.strategy_id
        is_home = index.is_home is None or index.is_home(strategy_id)
        has_pairs = entry.by_pairs and len(entry.universe) > 0
        return entry.as_whole or has_pairs or (is_home and strategy_id in index.warnings)

    def _follow(self) -> None:
        """Make the watch anew where a strategy came or changed, or the columns have grown. Between emissions only."""
        index = self._index
        index.make_room_for_tickers()
        new = [strategy_id for strategy_id in index.ids[self._met :] if self._asked.asks_for(strategy_id)]
        self._met = len(index.ids)
        self._entries += [index.entries[strategy_id] for strategy_id in new]
        standing = standing_of(self._entries)
        tickers = len(index.columns.tickers.last_update)
        if len(standing) != len(self._standing) or any(map(is_not, standing, self._standing)):
            self._leave_out()
            self._standing = standing_of(self._entries)
            updated, self._watch = self._watch.updated, watch_of(index, self._entries)
            self._watch.updated[: len(updated)] = updated
            self._slots = list(slots_of(self._entries))
        elif tickers > len(self._watch.first):
            first, updated = grown(self._watch.first, tickers, NO_SLOT), grown(self._watch.updated, tickers, 0)
            self._watch = self._watch._replace(first=first, updated=updated)

    def _leave_out(self) -> None:
        """Keep to the bounds: whoever came last goes, and is told of."""
        pairs = list(accumulate(len(entry.universe) for entry in self._entries))
        kept = min(bisect_right(pairs, MAX_ASKED_PAIRS), MAX_ASKED_STRATEGIES)
        self.left_out += [entry.strategy.strategy_id for entry in self._entries[kept:]]
        del self._entries[kept:]

    def _decision(self, entry: Entry, slots: slice, updated: int) -> Decision:
        """What the emission did with one strategy."""
        said = [*self._fired(entry), *self._skipped(slots)]
        counts = self._counts(entry, slots)
        changed = int(np.count_nonzero(self._watch.updated[self._watch.ticker[slots]] == self._emission))
        outcome = FIRED if counts.get(FIRED) else max(counts, key=counts.__getitem__, default=NO_UPDATE)
        newest = max((each.bucket_ms for each in said), default=-1)
        if entry.as_whole:
            changed = updated
            if not said:
                outcome, newest = self._ran_already(entry)
        sizes = (len(entry.universe), updated, changed)
        named, left_out = said[:MAX_TICKERS_NAMED], max(0, len(said) - MAX_TICKERS_NAMED)
        return Decision(entry.strategy, entry.mode, outcome, newest, *sizes, named, left_out, counts)

    def _ran_already(self, entry: Entry) -> tuple[str, int]:
        """Why a strategy that runs as a whole did not: it had run in the bucket of stream time, or there is none."""
        columns, rule = self._index.columns, int(self._index.columns.strategies.rule[entry.number])
        bucket_ms = bucket_at(columns, rule, int(columns.scalars[Scalars.STREAM_MS]))
        return (REASONS[NO_BUCKET], -1) if bucket_ms == NEVER else (REASONS[BUCKET_DUP], bucket_ms)

    def _fired(self, entry: Entry) -> Iterator[Said]:
        names = self._names()
        for ticker, bucket_ms in self._fires.get(entry.number, ()):
            yield Said("" if ticker == EVERY_TICKER else names[ticker], FIRED, bucket_ms, 1)

    def _skipped(self, slots: slice) -> Iterator[Said]:
        names, watch = self._names(), self._watch
        skips = watch.skips.reshape(-1, len(REASONS))[slots]
        for slot, reason in zip(*(found.tolist() for found in np.nonzero(skips)), strict=True):
            at = slots.start + slot
            bucket_ms = max(int(watch.bucket_ms[at]), -1)
            yield Said(names[watch.ticker[at]], REASONS[reason], bucket_ms, int(skips[slot, reason]))

    def _counts(self, entry: Entry, slots: slice) -> dict[str, int]:
        skips = self._watch.skips.reshape(-1, len(REASONS))[slots].sum(axis=0).tolist()
        counts = {FIRED: len(self._fires.get(entry.number, ())), **dict(zip(REASONS, skips, strict=True))}
        return {name: count for name, count in counts.items() if count}

    def _names(self) -> list[str]:
        """Every ticker by number."""
        tickers = self._index.tickers
        if len(self._all_names) != tickers.count:
            self._all_names = tickers.all_names()
        return self._all_names


def standing_of(entries: Sequence[Entry]) -> list[Strategy | Turn | None]:
    """Of each entry, what stands, and the turn that it decides under."""
    return [each for entry in entries for each in (entry.strategy, entry.turn)]
