"""The shard of a replay: runs of ticks in, rows of the result out."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from streams.core.entry import HELD_AS_NUMBERS, Entry
from streams.core.events import Mode, Strategy
from streams.core.index import LimitError
from streams.core.lifecycle import Verdict, settle
from streams.core.limits import MAX_TICKERS
from streams.core.shard import EVERY_TICKER, Fires, Shard
from streams.core.strategy_counts import StrategyCounts, all_counts
from streams.core.tickers import TooManyTickersError
from streams.errors import InputError
from streams.reference_data import load_conditions
from streams.replay.definitions import Definitions
from streams.replay.definitions_file import Universes
from streams.replay.rejects import Reject
from streams.replay.results import Batch, ExecutionsWriter
from streams.replay.runs import Placed, Run
from streams.replay.tick_columns import Int32s, Int64s

MODES: Final = [mode.value for mode in Mode]
_BY_PAIRS: Final = np.int32(MODES.index(Mode.PER_TICKER))


class Deciding:
    """All definitions of a replay, in one shard."""

    def __init__(self, definitions: Definitions, path: Path) -> None:
        """Put them in force; `path` is the file to mend where that cannot be."""
        self.shard = Shard(load_conditions(), long_steps=True)
        self.path = path
        self._tickers: list[str] = []
        self._several = bool(definitions.held)
        self._strategies, self._ids = definitions.strategies, definitions.ids
        self._whole_mode = np.array([MODES.index(mode) for mode in definitions.whole_modes], np.int32)
        with self.shard.together():
            for number, strategy in enumerate(definitions.strategies):
                # They are numbered in the order of their ids, so their numbers, of one length, stand in that order too.
                self._put_in_force(strategy, f"{number:07}" if self._several else strategy.strategy_id)
        assert self.shard.strategy_ids == sorted(self.shard.strategy_ids), "definitions are numbered by their ids"

    def _put_in_force(self, strategy: Strategy, name: str) -> None:
        """Let it stand, if it is sound; who read the file has looked at the universe, ticker by ticker."""
        settled = settle(None, replace(strategy, universe=frozenset()))
        if settled.verdict is not Verdict.ACCEPTED:
            raise InputError(f"{self.path}, strategy {strategy.strategy_id!r}", settled.reason, "mend the file")
        try:
            self.shard.stand(strategy if name == strategy.strategy_id else replace(strategy, strategy_id=name))
        except (LimitError, TooManyTickersError) as error:
            remedy = "spread the variants over several files, and replay each" if self._several else "split the file"
            raise InputError(str(self.path), str(error).partition(";")[0], remedy) from error

    def hold_as_numbers(self) -> None:
        """Let go of the names of the tickers that the shard holds by number: sets of them are as large as its state.

        Where there are variants the sets stay: they are told by their sizes.
        """
        for at, (entry, strategy) in enumerate(self._held() if not self._several else ()):
            if len(entry.own) == len(strategy.universe):
                self._strategies[at] = replace(strategy, universe=strategy.universe and HELD_AS_NUMBERS)

    def _held(self) -> Iterator[tuple[Entry, Strategy]]:
        return zip(self.shard.index.entries.values(), self._strategies, strict=True)

    def universes(self) -> Universes:
        """The tickers of each definition, by number. Those of strategies that are not active were not kept as such."""
        number = dict(self.shard.index.tickers.by_name)
        found = []
        for entry, strategy in self._held():
            own = entry.own
            if len(own) < len(strategy.universe):
                own = np.array([number.setdefault(each, len(number)) for each in sorted(strategy.universe)], np.int32)
            found.append(own)
        return Universes([*number], found)

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

    def step(self, run: Run, executions: ExecutionsWriter) -> list[Placed]:
        """Take one run of ticks; returns the rows that were refused."""
        batch, shard = run.batch, self.shard
        ticks, refused = shard.from_columns(batch.names, batch.name_of, batch.ts_ms, batch.codes, batch.code_ends)
        fires = shard.in_order(shard.step(ticks), len(ticks.ticker))
        if len(fires.tick):
            if len(self._tickers) < shard.index.tickers.count:
                self._tickers = shard.index.tickers.all_names()
            named = Batch(
                self._ids,
                fires.strategy,
                self._tickers,
                fires.ticker,
                fires.bucket_ms,
                fires.ts_ms,
                MODES,
                self._modes(fires),
            )
            executions.add(named)
        if not refused:
            return run.refused
        if self._several:  # alone, a variant may have had room for them: its answer must not hang on the others
            problem = f"more than {MAX_TICKERS} tickers in the ticks and in all variants together"
            raise InputError(str(self.path), problem, "replay fewer variants at once")
        homeless = (Placed(int(run.file_of[at]), too_many_tickers(int(batch.rows[at]))) for at in refused)
        return sorted([*run.refused, *homeless])

    def _modes(self, fires: Fires) -> Int32s:
        """How each was throttled."""
        by_whole = fires.ticker == EVERY_TICKER
        if not by_whole.any():
            return np.full(len(by_whole), _BY_PAIRS)
        return np.where(by_whole, self._whole_mode[fires.strategy], _BY_PAIRS)


def too_many_tickers(row: int) -> Reject:
    """Why a row is refused whose ticker finds no room."""
    return Reject(row, "too_many_tickers", f"a shard holds at most {MAX_TICKERS} tickers")
