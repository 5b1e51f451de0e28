r"""The rows of what is gathered: of each strategy whose group is open, one. Written, and read back.

The key is \0g and the strategy's id. The value begins with a version byte, 1. Then, as Avro has longs and strings: the
version of the strategy that fired, its timeframe, the bucket, when the group is due, the first and the last offset, the
earliest event time, and the count of tickers; and the tickers, the length of each in a byte before it.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from streams.core.avro import BadBytesError, long, read_long, read_string, string
from streams.core.entry import HELD_AS_NUMBERS
from streams.core.events import Mode, Strategy
from streams.core.gathered import Gathered, Group
from streams.core.lifecycle import MAX_VERSION
from streams.core.limits import MAX_COALESCE_MS, MAX_TICKER_BYTES, MAX_TS_MS, MIN_TS_MS, NEVER
from streams.core.shard import Shard
from streams.core.special_rows import VERSION_BYTE, behind_version
from streams.core.timeframes import parse_timeframe

GROUP_KEY: Final = b"\0g"


def changed(gathered: Gathered, ids: Sequence[str]) -> Iterator[tuple[bytes, bytes | None]]:
    """The rows that differ from those written last; no value where nothing is gathered any more."""
    here, gone = gathered.take_changed()
    for number in gone:
        yield GROUP_KEY + ids[number].encode(), None
    for number, names in zip(here, gathered.names(here), strict=True):
        yield GROUP_KEY + ids[number].encode(), put_group(*gathered.group(number), names)


def put_group(group: Group, count: int, names: bytes) -> bytes:
    """The value of a row."""
    strategy, *numbers = group
    head = VERSION_BYTE + long(strategy.version) + string(strategy.timeframe)
    return head + b"".join(map(long, (*numbers, count))) + names


def read_group(key: bytes, value: bytes) -> tuple[Group, list[str]]:
    """Read a row; what it says of the strategy is what an execution tells."""
    try:
        strategy_id = key.removeprefix(GROUP_KEY).decode()
    except UnicodeDecodeError:
        raise BadBytesError("its key is not UTF-8") from None
    version, at = read_long(value, behind_version(value))
    timeframe, at = read_string(value, at)
    numbers = []
    for _ in range(len(Group._fields)):
        number, at = read_long(value, at)
        numbers.append(number)
    *times, count = numbers
    strategy = Strategy(strategy_id, timeframe, HELD_AS_NUMBERS, version=version, mode=Mode.PER_TICKER)
    group = Group(strategy, *times)
    refuse(group)
    return group, read_tickers(value, at, count)


def refuse(group: Group) -> None:
    """Raise where a group cannot be what a shard wrote."""
    try:
        parse_timeframe(group.strategy.timeframe)
    except ValueError as error:
        raise BadBytesError(str(error)) from None
    if not 1 <= group.strategy.version <= MAX_VERSION:
        raise BadBytesError("the version in it is out of bounds")
    if not (
        NEVER < group.bucket_ms < MAX_TS_MS
        and MIN_TS_MS <= group.ts_ms < MAX_TS_MS
        and MIN_TS_MS < group.due_ms < MAX_TS_MS + MAX_COALESCE_MS
    ):
        raise BadBytesError("a time in it is out of bounds")
    if not 0 <= group.first_offset <= group.last_offset:
        raise BadBytesError("its offsets are out of bounds, or out of order")


def read_tickers(value: bytes, at: int, count: int) -> list[str]:
    """The tickers, up to the end of the row."""
    found = []
    while at < len(value):
        end = at + 1 + value[at]
        if not 0 < value[at] <= MAX_TICKER_BYTES or end > len(value):
            raise BadBytesError("a ticker in it has an impossible length")
        try:
            found.append(value[at + 1 : end].decode())
        except UnicodeDecodeError:
            raise BadBytesError("a ticker in it is not UTF-8") from None
        at = end
    if not 0 < count == len(found) == len({*found}):
        raise BadBytesError(f"it states {count} tickers and has {len(found)}, or one twice")
    return found


def put_back(shard: Shard, group: Group, tickers: Sequence[str]) -> None:
    """Open a group again in a shard that is made anew. Who has fired has rows of its own."""
    entry, by_name = shard.index.entries.get(group.strategy.strategy_id), shard.index.tickers.by_name
    if entry is None:
        raise BadBytesError("its strategy has no row")
    try:
        numbers = np.array([by_name[ticker] for ticker in tickers], np.int32)
    except KeyError as error:
        raise BadBytesError(f"ticker {error} in it has no row") from None
    shard.gathered.put_back(entry.number, group, numbers)
