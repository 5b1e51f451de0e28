"""A kit for tests of strategies: ticks in, executions out, without a broker, a thread or a clock.

    driver = Driver()
    driver.strategy("s1", "5m", ["AAPL"])
    driver.tick("AAPL", at="2024-11-25 14:30")
    (result,) = driver.run(my_strategy)

It decides with the shard that decides live, and its executions have gone through the wire format. Time is that of the
ticks, and moves only when it is told to. Each call is a checkpoint of its own: what fires in it is coalesced, as live.
"""

import asyncio
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from streams.consumer.execution import Execution, Position, read_execution
from streams.consumer.report import failed, result_value
from streams.core.events import Mode, Status, Strategy, Tick
from streams.core.executions import EncodedRecords, Executions
from streams.core.gathered import Step
from streams.core.lifecycle import Verdict
from streams.core.limits import MAX_TS_MS, MIN_TS_MS, NEVER
from streams.core.shard import Fires, Shard
from streams.kafka.codec import Decoder, Encoder
from streams.kafka.registry import FileSchemas
from streams.reference_data import load_conditions

Time = int | str | datetime

TICKS: Final = "ticks"
CLOCK: Final = "clock"


class Driver:
    """One shard by hand."""

    def __init__(self, *, per_ticker_throttle: bool = True, coalesce_ms: int = 0) -> None:
        """Start with nothing; both settings are those of a worker."""
        self._shard = Shard(load_conditions(), Mode.PER_TICKER if per_ticker_throttle else Mode.LEGACY)
        self._coalesce_ms = coalesce_ms
        schemas = FileSchemas()
        self._encoder = Encoder(schemas, ["execution", "result"])
        self._decode, self._decode_result = Decoder(schemas, "execution").decode, Decoder(schemas, "result").decode
        schema_id = self._encoder.schema_id("execution")
        self._out = {topic: Executions(self._shard, topic, 0, schema_id) for topic in (TICKS, CLOCK)}
        self._next_offset = {TICKS: 0, CLOCK: 0}
        self._strategies: dict[str, Strategy] = {}
        self._handed_out = 0
        self.executions: list[Execution] = []
        """All so far, in order."""

    @property
    def now_ms(self) -> int | None:
        """Stream time: the newest that a tick or the clock has brought; None before the first."""
        return None if self._shard.stream_ms == NEVER else self._shard.stream_ms

    def strategy(
        self,
        strategy_id: str,
        timeframe: str | None = None,
        universe: Iterable[str] | str | None = None,
        **fields: Any,  # noqa: ANN401 - of several kinds
    ) -> Strategy:
        """Make a strategy, or its next version: what is not named stays. Universe "all": every ticker.

        Other fields are those of `Strategy`: mode, session, time_zone, status, coalesce_ms.
        """
        old = self._strategies.get(strategy_id)
        if old is None and (timeframe is None or universe is None):
            raise ValueError(f"strategy {strategy_id!r} is new: give it a timeframe and a universe")
        named: dict[str, Any] = {"coalesce_ms": self._coalesce_ms}
        if old is not None:
            named = {name: getattr(old, name) for name in Strategy.__slots__} | {"version": old.version + 1}
        if timeframe is not None:
            named["timeframe"] = timeframe
        if isinstance(universe, str) and universe != "all":
            raise ValueError(f"the universe is the text {universe!r}; give a list of tickers, or all")
        if universe is not None:
            named["universe"] = frozenset() if universe == "all" else frozenset(universe)
        return self.change(Strategy(**{**named, "strategy_id": strategy_id, **fields}))

    def pause(self, strategy_id: str) -> Strategy:
        """Let it decide nothing until it is activated."""
        return self.strategy(strategy_id, status=Status.PAUSED)

    def activate(self, strategy_id: str) -> Strategy:
        """Let it decide again."""
        return self.strategy(strategy_id, status=Status.ACTIVE)

    def change(self, strategy: Strategy) -> Strategy:
        """Take a version as it is, in force for the next tick; raises `ValueError` where it may not be."""
        settled = self._shard.change(strategy)
        if settled.verdict is not Verdict.ACCEPTED:
            raise ValueError(f"strategy {strategy.strategy_id!r} is not taken: {settled.reason}")
        warning = self._shard.index.warnings.get(strategy.strategy_id)
        if warning is not None:
            raise ValueError(f"strategy {strategy.strategy_id!r} would be skipped: {warning}")
        self._strategies[strategy.strategy_id] = strategy
        self._keep(self._closed())
        return strategy

    def tick(self, ticker: str, at: Time | None = None, conditions: Sequence[int] = ()) -> list[Execution]:
        """One trade, now unless said otherwise; returns the executions that go out."""
        return self.ticks([Tick(ticker, self._time(at), conditions=tuple(conditions))])

    def ticks(self, ticks: Iterable[Tick]) -> list[Execution]:
        """Several trades in one checkpoint; returns the executions that go out."""
        given = list(ticks)
        names = list(dict.fromkeys(tick.ticker for tick in given))
        number = {name: at for at, name in enumerate(names)}
        codes = np.array([code for tick in given for code in tick.conditions], np.int32)
        ends = np.cumsum([len(tick.conditions) for tick in given], dtype=np.int64)
        times = np.array([self._time(tick.ts_ms) for tick in given], np.int64)
        name_of = np.array([number[tick.ticker] for tick in given], np.int32)
        columns, refused = self._shard.from_columns(names, name_of, times, codes, ends)
        assert not refused, "a test has room for its tickers"
        before_ms, offsets = self._shard.stream_ms, self._offsets(TICKS, len(given))
        fires = self._shard.step(columns)
        step = Step(columns, offsets, before_ms)
        at_once = self._shard.gathered.take(fires, step, self._shard.rank(), self._out[TICKS].room)
        return self._sent(TICKS, at_once, offsets)

    def move_to(self, at: Time) -> list[Execution]:
        """Move the clock on, without a tick: strategies for a whole universe fire by it, and windows close."""
        return self._sent(CLOCK, self._shard.clock(self._time(at)), self._offsets(CLOCK, 1))

    def advance(self, **how_far: float) -> list[Execution]:
        """Move the clock on by so much, as `timedelta` takes it: `advance(minutes=5)`."""
        return self.move_to(self._time(None) + round(timedelta(**how_far).total_seconds() * 1000))

    def run(self, function: Callable[[Execution], Any]) -> list[dict[str, Any]]:
        """Hand what has not been handed out to a strategy function, as `streams.consumer.run` does.

        Returns a result for each, as it would stand on `alert-results`. What the function raises is one, too.
        """
        due, self._handed_out = self.executions[self._handed_out :], len(self.executions)
        return [self._result(execution, called(function, execution)) for execution in due]

    def counts(self, strategy_id: str) -> Mapping[str, int]:
        """How often the strategy's pairs fired, and how often not, by the reason."""
        counts = self._shard.counts_of(strategy_id)
        if counts is None:
            raise KeyError(strategy_id)
        return {name: count for name, count in counts._asdict().items() if name != "no_update"}

    def _result(self, execution: Execution, told: object) -> dict[str, Any]:
        return dict(self._decode_result(result_value(self._encoder, execution, told, "testkit")))

    def _time(self, at: Time | None) -> int:
        """Milliseconds since 1970; a text is ISO 8601, UTC unless it says otherwise."""
        if at is None:
            if self.now_ms is None:
                raise ValueError("there is no time yet: say at= with the first tick")
            return self.now_ms
        if isinstance(at, str):
            at = datetime.fromisoformat(at)
        if isinstance(at, datetime):
            at = round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
        if not MIN_TS_MS <= at < MAX_TS_MS:
            raise ValueError(f"the time {at} does not lie from 1970 to 2099; it is in ms")
        return at

    def _offsets(self, topic: str, count: int) -> Any:  # noqa: ANN401 - a column
        first = self._next_offset[topic]
        self._next_offset[topic] += count
        return np.arange(first, first + count)

    def _sent(self, topic: str, fires: Fires, offsets: Any) -> list[Execution]:  # noqa: ANN401 - a column
        """What goes out at the end of a checkpoint."""
        self._shard.gathered.close_due(self._shard.stream_ms)
        closed = self._closed()
        return [*self._keep(closed), *self._keep(self._out[topic].encode(fires, offsets))]

    def _closed(self) -> EncodedRecords:
        return self._out[TICKS].encode_gathered(self._shard.gathered.take_closed(self._shard.rank()))

    def _keep(self, records: EncodedRecords) -> list[Execution]:
        first = len(self.executions)
        for at in range(records.count):
            position = Position("alert-executions", 0, len(self.executions))
            self.executions.append(read_execution(self._decode(records.value(at)), position))
        return self.executions[first:]


def called(function: Callable[[Execution], Any], execution: Execution) -> object:
    """What a strategy function makes of an execution."""
    try:
        told = function(execution)
        return asyncio.run(_awaited(told)) if inspect.isawaitable(told) else told
    except Exception as error:  # noqa: BLE001 - whatever a strategy raises
        return failed(error)


async def _awaited(told: Any) -> object:  # noqa: ANN401 - a coroutine or the like
    answer: object = await told
    return answer
