"""A shard's state as a reader asks for it: one ticker, or one strategy."""

from streams.core.limits import NEVER
from streams.core.shard import Shard


def number_of(shard: Shard, ticker: str) -> int | None:
    """The number of a ticker that was ever updated."""
    number, last_update = shard.index.tickers.by_name.get(ticker), shard.index.columns.tickers.last_update
    if number is None or number >= len(last_update) or last_update[number] == NEVER:
        return None
    return number


def last_buckets(shard: Shard, number: int) -> dict[str, int]:
    """Of a ticker, by strategy, the last bucket; those that never fired for it are left out."""
    columns, ids = shard.index.columns, shard.strategy_ids
    start = int(columns.tickers.row_start[number])
    row = slice(start, start + int(columns.tickers.row_used[number]))
    fired = zip(columns.pairs.strategy[row].tolist(), columns.pairs.last_bucket[row].tolist(), strict=True)
    return {ids[strategy]: bucket_ms for strategy, bucket_ms in fired if bucket_ms != NEVER}
