"""The rows of a changelog that are of no ticker: of each strategy, and of the shard's position. Written, and read back.

`state_rows` tells what they hold, and why.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from streams.core.avro import BadBytesError, long_map, read_long_map, read_unsigned, unsigned
from streams.core.limits import MAX_STRATEGIES, MAX_STRATEGY_ID_BYTES, MAX_TS_MS, MIN_TS_MS, NEVER
from streams.core.state_kernel import VERSION

STRATEGY_KEY: Final = b"\0s"
TICKER_KEY: Final = b"\0t"
POSITION_KEY: Final = b"\0position"

NEXT_OFFSET: Final = "next_offset"
STREAM_MS: Final = "stream_ms"
PROMISED_MS: Final = "promised_ms"
LOG_NUMBERS: Final = "log_numbers"
COUNT: Final = "count."
"""Before the name of each total."""
INPUT: Final = "input."
"""Before the place of each input but the ticks: `input.strategy-changes/3` is partition 3 of `strategy-changes`."""
CHANGES: Final = "changes."
"""What stood in place of `input.strategy-changes/`, before there were other inputs; read, and not written any more."""

VERSION_BYTE: Final = bytes([VERSION])

Inputs = Mapping[tuple[str, int], int]
"""Up to which offset inputs other than the ticks were taken, by topic (its name without the prefix) and partition.

One that is not there has given nothing yet.
"""
NO_INPUTS: Final[Inputs] = {}

TRAILING: Final = "bytes are left behind its end"


class StrategyRow(NamedTuple):
    """What a strategy fired as a whole, and its number in the rows of tickers."""

    strategy_id: str
    log_number: int
    last_run_ms: int
    floor_ms: int


class Position(NamedTuple):
    """Where the shard stands in its input, and what else only the shard has."""

    next_offset: int
    stream_ms: int
    log_numbers: int
    counts: Mapping[str, int]
    inputs: Inputs = NO_INPUTS
    """What this was decided on."""
    promised_ms: int = NEVER
    """Where executions go out before rows: stream time goes no further until the next ones, see `promise.py`."""

    def of(self, topic: str) -> dict[int, int]:
        """What was taken of one topic, by partition."""
        return {partition: offset for (name, partition), offset in self.inputs.items() if name == topic}


def put_strategy(row: StrategyRow) -> tuple[bytes, bytes]:
    """The key and the value of a strategy's row."""
    value = VERSION_BYTE + unsigned(row.log_number) + _optional(row.last_run_ms) + _optional(row.floor_ms)
    return STRATEGY_KEY + row.strategy_id.encode(), value


def read_strategy(key: bytes, value: bytes) -> StrategyRow:
    """Read a strategy's row."""
    if not key.startswith(STRATEGY_KEY) or not 0 < len(key) - len(STRATEGY_KEY) <= MAX_STRATEGY_ID_BYTES:
        raise BadBytesError("its key is that of neither a ticker nor a strategy")
    try:
        strategy_id = key.removeprefix(STRATEGY_KEY).decode()
    except UnicodeDecodeError:
        raise BadBytesError("its key is not UTF-8") from None
    log_number, at = read_unsigned(value, behind_version(value))
    last_run_ms, at = _read_optional(value, at)
    floor_ms, at = _read_optional(value, at)
    if at != len(value):
        raise BadBytesError(TRAILING)
    if log_number >= MAX_STRATEGIES:
        raise BadBytesError(f"its log number is {log_number}, must be below {MAX_STRATEGIES}")
    return StrategyRow(strategy_id, log_number, last_run_ms, floor_ms)


def put_position(position: Position) -> tuple[bytes, bytes]:
    """The key and the value of the row of the position."""
    fields = {NEXT_OFFSET: position.next_offset, STREAM_MS: position.stream_ms, LOG_NUMBERS: position.log_numbers}
    if position.promised_ms != NEVER:
        fields[PROMISED_MS] = position.promised_ms
    fields |= {COUNT + name: total for name, total in position.counts.items()}
    fields |= {f"{INPUT}{topic}/{partition}": offset for (topic, partition), offset in sorted(position.inputs.items())}
    return POSITION_KEY, VERSION_BYTE + long_map(fields)


def read_position(value: bytes) -> Position:
    """Read the row of the position; what is new in it is passed over."""
    fields, end = read_long_map(value, behind_version(value))
    if end != len(value):
        raise BadBytesError(TRAILING)
    missing = {NEXT_OFFSET, STREAM_MS, LOG_NUMBERS} - fields.keys()
    if missing:
        raise BadBytesError(f"{min(missing)} is missing in it")
    counts = {name.removeprefix(COUNT): total for name, total in fields.items() if name.startswith(COUNT)}
    inputs = {place: offset for name, offset in fields.items() if (place := _place_in(name))}
    promised_ms = fields.get(PROMISED_MS, NEVER)
    position = Position(fields[NEXT_OFFSET], fields[STREAM_MS], fields[LOG_NUMBERS], counts, inputs, promised_ms)
    if position.next_offset < 0 or not 0 <= position.log_numbers <= MAX_STRATEGIES:
        raise BadBytesError(f"{NEXT_OFFSET} or {LOG_NUMBERS} in it is out of bounds")
    for name, time_ms in ((STREAM_MS, position.stream_ms), (PROMISED_MS, promised_ms)):
        if time_ms != NEVER and not MIN_TS_MS <= time_ms < MAX_TS_MS:
            raise BadBytesError(f"{name} in it is out of bounds")
    return position


def _place_in(name: str) -> tuple[str, int] | None:
    """The input that a field is of; None where it is of something else."""
    if name.startswith(CHANGES):
        name = f"{INPUT}strategy-changes/{name.removeprefix(CHANGES)}"
    topic, slash, partition = name.removeprefix(INPUT).rpartition("/")
    return (topic, int(partition)) if name.startswith(INPUT) and slash and partition.isdecimal() else None


def behind_version(value: bytes) -> int:
    """Where a value goes on behind its version byte; raises for a version that is not known."""
    if not value.startswith(VERSION_BYTE):
        raise BadBytesError("its version is not known here; run a release that writes it")
    return len(VERSION_BYTE)


def _optional(bucket_ms: int) -> bytes:
    return b"\0" if bucket_ms == NEVER else unsigned((bucket_ms << 1 ^ bucket_ms >> 63) + 1)


def _read_optional(data: bytes, at: int) -> tuple[int, int]:
    bits, at = read_unsigned(data, at)
    if not bits:
        return NEVER, at
    bucket_ms = (bits - 1) >> 1 ^ -((bits - 1) & 1)
    if not NEVER < bucket_ms < MAX_TS_MS:
        raise BadBytesError("a bucket in it is out of bounds")
    return bucket_ms, at
