"""Changelogs in memory: rows go in as a shard writes them, and come out as a broker would hand them over.

Beside them the plain readings of what the rows hold, which tests hold the kernels to.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from streams.core.latest import RowRun
from streams.core.limits import NEVER
from streams.core.records import EncodedRecords
from streams.core.restore import Recovery, Restored
from streams.core.shard import Shard
from streams.core.state_rows import Rows
from tests.core.histories import Pick


class Record(NamedTuple):
    """One row in a changelog; no value: it is deleted."""

    offset: int
    key: bytes | None
    value: bytes | None


def run_of(records: Sequence[Record]) -> RowRun:
    """Lay out records, in a buffer with something before them."""
    buffer, spans = bytearray(b"before"), []
    for record in records:
        for part in (record.key, record.value):
            spans.append((-1, -1) if part is None else (len(buffer), len(buffer) + len(part)))
            buffer += part or b""
    starts, ends = np.array(spans, np.int64).reshape(-1, 2).T.copy()
    offset = np.array([record.offset for record in records], np.int64)
    return RowRun(np.frombuffer(bytes(buffer), np.uint8), offset, starts[::2], ends[::2], starts[1::2], ends[1::2])


class Changelog:
    """One topic."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def append(self, rows: EncodedRecords) -> None:
        for i in range(rows.count):
            self.add(rows.key(i), rows.value(i))

    def add(self, key: bytes | None, value: bytes | None) -> None:
        self.records.append(Record(3 * len(self.records), key, value))

    def latest(self) -> dict[bytes | None, bytes | None]:
        return {record.key: record.value for record in self.records}

    def compacted(self, pick: Pick) -> list[Record]:
        """Some, or all, or none of the records that a later one of the same key has replaced are gone."""
        last = {record.key: record for record in self.records}
        kept = pick(((True,), (False,), (True, False)))
        return [record for record in self.records if record is last[record.key] or pick(kept)]


class Changelogs:
    """Both topics of a shard."""

    def __init__(self) -> None:
        self.last_update, self.last_bucket = Changelog(), Changelog()

    def append(self, rows: Rows) -> None:
        self.last_update.append(rows.last_update)
        self.last_bucket.append(rows.last_bucket)

    def restore(self, shard: Shard, pick: Pick) -> Restored:
        """Recover from both, compacted or not, in runs of any size."""
        recovery = Recovery()
        for latest, log in ((recovery.last_update, self.last_update), (recovery.last_bucket, self.last_bucket)):
            records = log.compacted(pick)
            while records:
                size = pick((1, 3, 10, len(records)))
                latest.take(run_of(records[:size]))
                records = records[size:]
        return recovery.finish(shard)


def number(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    return bytes([value]) if value < 128 else bytes([value % 128 + 128]) + number(value // 128)


def zigzag(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1


def update_row(ts_ms: int) -> bytes:
    return b"\1" + number(zigzag(ts_ms))


def bucket_row(pairs: Mapping[int, int]) -> bytes:
    """The row of a ticker from its buckets by log number."""
    buckets = sorted({*pairs.values()}, reverse=True)
    out = b"\1" + number(len(buckets))
    for at, bucket_ms in enumerate(buckets):
        out += number(buckets[at - 1] - bucket_ms) if at else number(zigzag(bucket_ms))
        log_numbers = sorted(log_number for log_number, of in pairs.items() if of == bucket_ms)
        out += number(len(log_numbers))
        for before, log_number in zip([-1, *log_numbers], log_numbers, strict=False):
            out += number(log_number - before - 1)
    return out


def pairs_in(row: bytes) -> dict[int, int]:
    """The buckets by log number."""
    numbers, value, shift = [], 0, 0
    for byte in row[1:]:
        value, shift = value | byte % 128 << shift, shift + 7
        if byte < 128:
            numbers.append(value)
            value = shift = 0
    found: dict[int, int] = {}
    groups, *rest = numbers
    bucket_ms = None
    for _ in range(groups):
        coded, count, *rest = rest
        bucket_ms = (coded >> 1 ^ -(coded & 1)) if bucket_ms is None else bucket_ms - coded
        log_number = -1
        for gap in rest[:count]:
            log_number += gap + 1
            found[log_number] = bucket_ms
        rest = rest[count:]
    assert not rest
    return found


def optional(bucket_ms: int) -> bytes:
    return b"\0" if bucket_ms == NEVER else number(zigzag(bucket_ms) + 1)


def strategy_row(log_number: int, last_run_ms: int = NEVER, floor_ms: int = NEVER) -> bytes:
    return b"\1" + number(log_number) + optional(last_run_ms) + optional(floor_ms)


def key_of(ticker: str) -> bytes:
    return (b"\0t" if ticker.startswith("\0") else b"") + ticker.encode()


def remembered(shard: Shard) -> dict[str, dict[str, int]]:
    """By ticker, the bucket of every pair that has one, awake or asleep."""
    tickers, pairs, ids = shard.index.columns.tickers, shard.index.columns.pairs, shard.strategy_ids
    found = {}
    for t, name in enumerate(shard.index.tickers.all_names()):
        row = range(tickers.row_start[t], tickers.row_start[t] + tickers.row_used[t])
        buckets = {ids[pairs.strategy[j]]: int(pairs.last_bucket[j]) for j in row if pairs.last_bucket[j] > NEVER}
        if buckets:
            found[name] = buckets
    return found
