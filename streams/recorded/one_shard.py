"""One shard of a replay: what it is still to take beside its ticks, and its numbers among those of all."""

from collections.abc import Iterable
from typing import Final

import numpy as np

from streams.core.clock import is_too_far_ahead
from streams.core.columns import Fires
from streams.core.events import Clock, Strategy
from streams.core.flags import NO_FLAGS, Control
from streams.core.index import LimitError
from streams.core.journal import Taking
from streams.core.limits import NEVER
from streams.core.restore import CorruptRowError
from streams.core.shard import EVERY_TICKER, Shard
from streams.core.tickers import TooManyTickersError
from streams.errors import InputError
from streams.recorded.beside import Event, Stands, Start
from streams.replay.tick_columns import Int32s

COUNTED: Final = ("ticks", "irrelevant", "updates", "fired", "bucket_dup", "late", "no_bucket", "triggered", "clocks")


class Numbers:
    """Names of all shards under numbers of one kind."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._number: dict[str, int] = {}

    def of(self, names: Iterable[str]) -> Int32s:
        """The number of each name."""
        numbers = []
        for name in names:
            number = self._number.setdefault(name, len(self.names))
            if number == len(self.names):
                self.names.append(name)
            numbers.append(number)
        return np.array(numbers, np.int32)


class OneShard:
    """A shard, and what it is still to take."""

    def __init__(self, shard: Shard, taking: Taking[Event]) -> None:
        self.shard, self.taking = shard, taking
        self.flags = NO_FLAGS
        self.stood: dict[str, Strategy] = {}
        """Of each strategy the last version that stood here."""
        self._strategies, self._tickers = np.zeros(0, np.int32), np.zeros(0, np.int32)
        self.tells_from = 0
        """What fires by earlier ticks is not told."""
        self.counts_before = dict.fromkeys(COUNTED, 0)
        """When this tick came."""

        self.from_ms = NEVER
        """What fires by clock records is told from this time on; NEVER: from that tick on."""

    def tell(self) -> None:
        """From here on what fires is told, and counted."""
        if self.tells_from:
            self.tells_from, self.counts_before = 0, self.shard.counts

    def take(self, event: Event) -> Fires | None:
        """Let what came in count; what a clock record fires, if it is one."""
        match event:
            case Stands():
                self._stand(event)
            case Control():
                self.flags = self.flags.with_control(event)
                self.shard.set_flags(self.flags)
            case Clock() if not is_too_far_ahead(self.shard.stream_ms, event.ts_ms):
                fires = self.shard.clock(event.ts_ms)
                return fires if event.ts_ms >= self.from_ms else None
        return None

    def _stand(self, event: Stands) -> None:
        try:
            if isinstance(event.stands, Strategy):
                self.shard.stand(event.stands, event.before)
                self.stood[event.strategy_id] = event.stands
            else:
                self.shard.forget(event.strategy_id)
        except (LimitError, TooManyTickersError) as error:
            raise InputError(f"strategy {event.strategy_id!r}", str(error), "replay fewer strategies") from error

    def strategies(self, numbers: Numbers) -> Int32s:
        """The number that each strategy of the shard has among all."""
        ids = self.shard.strategy_ids
        self._strategies = np.concatenate((self._strategies, numbers.of(ids[len(self._strategies) :])))
        return self._strategies

    def tickers(self, numbers: Numbers) -> Int32s:
        """The same of its tickers; the last stands for every ticker."""
        known = len(self._tickers) - 1 if len(self._tickers) else 0
        if self.shard.index.tickers.count > known or not len(self._tickers):
            new = numbers.of(self.shard.index.tickers.all_names()[known:])
            self._tickers = np.concatenate((self._tickers[:known], new, np.array([EVERY_TICKER], np.int32)))
        return self._tickers


def restored(shard: Shard, begins: Start) -> None:
    """Fill a new shard with what its changelogs held."""
    try:
        begins.recovery.finish(shard)
    except (CorruptRowError, LimitError) as error:
        remedy = "warm up by --warm-up-until, from ticks alone"
        raise InputError("the changelogs", str(error), remedy) from error
