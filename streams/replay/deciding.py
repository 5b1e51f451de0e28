"""The shard of a replay: runs of ticks in, rows of the result out."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from streams.core.conditions import ConditionTable
from streams.core.entry import NOBODY
from streams.core.events import Mode, Status, Strategy
from streams.core.index import LimitError
from streams.core.lifecycle import Verdict, settle
from streams.core.limits import MAX_TICKERS
from streams.core.order import in_order
from streams.core.shard import EVERY_TICKER, Fires, Shard
from streams.core.strategy_counts import StrategyCounts, all_counts
from streams.core.tickers import TooManyTickersError
from streams.errors import InputError
from streams.replay.definitions import Definitions, Universes, universes_of
from streams.replay.rejects import Reject
from streams.replay.results import Batch, ExecutionsWriter
from streams.replay.runs import Judged, Placed
from streams.replay.tick_columns import Int32s, Int64s

MODES: Final = [mode.value for mode in Mode]
_BY_PAIRS: Final = np.int32(MODES.index(Mode.PER_TICKER))


class Deciding:
    """All definitions of a replay, in one shard."""

    def __init__(self, definitions: Definitions, path: Path, conditions: ConditionTable) -> None:
        """Put them in force; `path` is the file to mend where that cannot be."""
        self.shard = Shard(conditions, long_steps=True)
        self.path = path
        self._tickers: list[str] = []
        self._several = bool(definitions.held)
        self._definitions, self._ids = definitions, definitions.ids
        self._whole_mode = np.array([MODES.index(mode) for mode in definitions.whole_modes], np.int32)
        own = self._own(definitions)
        with self.shard.together():
            for number, strategy in enumerate(definitions.strategies):
                # They are numbered in the order of their ids, so their numbers, of one length, stand in that order too.
                name = f"{number:07}" if self._several else strategy.strategy_id
                self._put_in_force(strategy, name, own[number] if own else None)
        assert self.shard.strategy_ids == sorted(self.shard.strategy_ids), "definitions are numbered by their ids"
        self._rank = self.shard.rank()

    def _own(self, definitions: Definitions) -> list[Int32s]:
        """The universes that come as numbers, by the shard's own: each name is looked up once, for all of them."""
        if definitions.universes is None:
            return []
        names, universes = definitions.universes
        active = [each.status is Status.ACTIVE for each in definitions.strategies]
        deciding = [universe for universe, decides in zip(universes, active, strict=True) if decides]
        number_of = np.zeros(len(names), np.int32)
        met = np.flatnonzero(np.bincount(np.concatenate([NOBODY, *deciding])))
        number_of[met] = self.shard.index.tickers.numbers([names[at] for at in met.tolist()])
        pairs = zip(universes, active, strict=True)
        return [np.sort(number_of[universe]) if decides else NOBODY for universe, decides in pairs]

    def _put_in_force(self, strategy: Strategy, name: str, own: Int32s | None) -> None:
        """Let it stand, if it is sound; who read the file has looked at the universe, ticker by ticker."""
        settled = settle(None, strategy if own is not None else replace(strategy, universe=frozenset()))
        if settled.verdict is not Verdict.ACCEPTED:
            raise InputError(f"{self.path}, strategy {strategy.strategy_id!r}", settled.reason, "mend the file")
        try:
            stands = strategy if name == strategy.strategy_id else replace(strategy, strategy_id=name)
            self.shard.stand(stands, own=own)
        except (LimitError, TooManyTickersError) as error:
            remedy = "spread the variants over several files, and replay each" if self._several else "split the file"
            raise InputError(str(self.path), str(error).partition(";")[0], remedy) from error

    def universes(self) -> Universes:
        """The tickers of each definition, by number. Those of strategies that are not active were not kept as such."""
        if self._definitions.universes is not None:
            return self._definitions.universes
        index = self.shard.index
        own = (entry.own for entry in index.entries.values())
        return universes_of(self._definitions.strategies, own, index.tickers.by_name)

    def counts(self) -> list[StrategyCounts]:
        """What happened to each definition, by number."""
        return all_counts(self.shard.index)

    @property
    def fired(self) -> Int64s:
        """By definition: its fired pairs."""
        strategies, count = self.shard.index.columns.strategies, len(self._ids)
        fired: Int64s = strategies.fired[:count] + strategies.whole_fired[:count]
        return fired

    def skipped(self) -> Iterator[tuple[str, str]]:
        """The strategies that decide nothing, and why."""
        for name, why in self.shard.index.warnings.items():
            yield self._ids[self.shard.index.entries[name].number], why

    def step(self, run: Judged, executions: ExecutionsWriter) -> list[Placed]:
        """Take one run of ticks; returns the rows that were refused. Who writes puts what fired in order."""
        ticks, refused = self.shard.from_names(run.names, run.name_of, run.ts_ms, run.moves_price)
        fires, tickers = self.shard.step(ticks), self.shard.index.tickers
        if len(self._tickers) < tickers.count:
            self._tickers = tickers.all_names()
        if len(fires.tick):
            executions.add_made(len(fires.tick), partial(self._laid_out, fires, len(ticks.ticker), self._tickers))
        if not refused:
            return run.refused
        if self._several:  # alone, a variant may have had room for them: its answer must not hang on the others
            problem = f"more than {MAX_TICKERS} tickers in the ticks and in all variants together"
            raise InputError(str(self.path), problem, "replay fewer variants at once")
        homeless = (Placed(int(run.file_of[at]), too_many_tickers(int(run.rows[at]))) for at in refused)
        return sorted([*run.refused, *homeless])

    def _laid_out(self, fires: Fires, ticks: int, tickers: list[str]) -> Batch:
        """What a run of so many ticks has fired, as rows. Called beside the next step, so nothing of that is read."""
        by_whole = fires.ticker == EVERY_TICKER
        mode = np.broadcast_to(_BY_PAIRS, len(by_whole))  # takes no memory, and the writer sees at once that it is one
        if by_whole.any():  # else they come in order
            fires = in_order(fires, self._rank, ticks)
            mode = np.where(fires.ticker == EVERY_TICKER, self._whole_mode[fires.strategy], _BY_PAIRS)
        return Batch(self._ids, fires.strategy, tickers, fires.ticker, fires.bucket_ms, fires.ts_ms, MODES, mode)


def too_many_tickers(row: int) -> Reject:
    """Why a row is refused whose ticker finds no room."""
    return Reject(row, "too_many_tickers", f"a shard holds at most {MAX_TICKERS} tickers")
