"""One execution, as whoever consumes it sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from streams.kafka.bad_values import BadValueError, Reason

WHOLE_UNIVERSE: Final = "universe"
LISTED: Final = "tickers"
SEND_AS_TOLD: Final = "write as schemas/execution.avsc tells"


class Position(NamedTuple):
    """Where an execution stands in its topic."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}@{self.offset}"


class Cause(NamedTuple):
    """The run of input records that caused an execution."""

    topic: str
    partition: int
    first_offset: int
    last_offset: int


@dataclass(frozen=True, slots=True)
class Execution:
    """Run this strategy on these tickers for this bucket."""

    execution_id: str
    strategy_id: str
    strategy_version: int
    mode: str
    """The throttle that let it through: per_ticker, legacy or global."""
    timeframe: str
    bucket_ms: int
    tickers: tuple[str, ...]
    """Those to run, less those that were handed out before. Empty for the whole universe."""
    scope: str
    ts_ms: int
    """Event time of the tick that caused it."""
    cause: Cause
    metadata: Mapping[str, int]
    run_id: str
    """Empty when live; else the name of the replay or paced run that wrote it."""
    position: Position

    @property
    def is_whole_universe(self) -> bool:
        """Whether every ticker of the strategy is to run."""
        return self.scope == WHOLE_UNIVERSE


def read_execution(record: Mapping[str, Any], position: Position) -> Execution:
    """The execution that a record holds; raises `BadValueError` where it says nothing that could be run."""
    scope = record["scope"]
    if scope not in {LISTED, WHOLE_UNIVERSE}:
        raise BadValueError(Reason("unknown_scope", "the scope is neither tickers nor universe", SEND_AS_TOLD))
    if scope == LISTED and not record["tickers"]:
        raise BadValueError(Reason("no_tickers", "the scope is tickers, and none is listed", SEND_AS_TOLD))
    return Execution(
        execution_id=record["execution_id"],
        strategy_id=record["strategy_id"],
        strategy_version=record["strategy_version"],
        mode=record["mode"],
        timeframe=record["timeframe"],
        bucket_ms=record["bucket_ms"],
        tickers=tuple(record["tickers"]) if scope == LISTED else (),
        scope=scope,
        ts_ms=record["ts"],
        cause=Cause(**record["cause"]),
        metadata=record["metadata"],
        run_id=record["run_id"],
        position=position,
    )
