"""What the tables show: the state of the shards, and the book of strategies, row by row.

last_update["AAPL"]          the time of the ticker's last update, in ms
last_bucket["AAPL"]          of each strategy that fired for it, the last bucket, in ms
strategies["s1"]             the strategy as it stands
counts["s1"]                 what happened to it in the shards of this worker, since they came here
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from streams.core.columns import Columns
from streams.core.events import Strategy
from streams.core.limits import NEVER
from streams.core.shard import Shard
from streams.core.strategy_counts import StrategyCounts
from streams.core.tables import last_buckets, number_of
from streams.kafka.book import Book
from streams.kafka.fetch import RawRun
from streams.kafka.shard_states import State
from streams.kafka.shards import Shards
from streams.kafka.strategy_book import StrategyBook

LAST_UPDATE: Final = "last_update"
LAST_BUCKET: Final = "last_bucket"


class _ShardRows:
    """Rows of every shard that this worker owns."""

    table: str

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    def take(self, run: RawRun) -> None:
        """Rows of the changelog."""
        self._shards.take_rows(self.table, run)

    async def recovered(self) -> None:
        """All rows are there."""
        await self._shards.recovered()

    def read_up_to(self, partition: int) -> int | None:
        """Where reading may go on."""
        return self._shards.rows_read(self.table, partition)

    def keys(self) -> Iterator[str]:
        """Every ticker that has been updated."""
        for shard in self._owned():
            last_update = shard.index.columns.tickers.last_update
            for ticker, number in list(shard.index.tickers.by_name.items()):
                if number < len(last_update) and last_update[number] != NEVER:
                    yield ticker

    def _owned(self) -> list[Shard]:
        return [
            owned.deciding.shard
            for owned in self._shards.owned.values()
            if owned.deciding is not None and owned.state is not State.CLOSED
        ]

    def _row(self, key: str) -> tuple[Shard, Columns, int]:
        """The shard that holds a ticker that was ever updated, its columns, and the ticker's number."""
        for shard in self._owned():
            number = number_of(shard, key)
            if number is not None:
                return shard, shard.index.columns, number
        raise KeyError(key)


class LastUpdateRows(_ShardRows):
    """The last update of each ticker."""

    table = LAST_UPDATE

    def get(self, key: str) -> int:
        """In ms since 1970."""
        _, columns, number = self._row(key)
        return int(columns.tickers.last_update[number])


class LastBucketRows(_ShardRows):
    """The last bucket of each pair, by ticker."""

    table = LAST_BUCKET

    def get(self, key: str) -> dict[str, int]:
        """By strategy; those that never fired for the ticker are left out."""
        shard, _, number = self._row(key)
        return last_buckets(shard, number)


class BookRows:
    """A topic that every worker holds whole, and shows no rows of."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def take(self, run: RawRun) -> None:
        """Records of the topic."""
        self._book.take(self._book.name, run)

    async def recovered(self) -> None:
        """All that stood when the worker came is there."""
        await self._book.caught_up()

    def read_up_to(self, partition: int) -> int | None:
        """Where reading goes on."""
        return self._book.positions.get(partition)

    def get(self, key: str) -> Any:  # noqa: ANN401 - as every table has it
        """None is shown."""
        raise KeyError(key)

    def keys(self) -> Iterator[str]:
        """None are shown."""
        return iter(())


class StrategyRows(BookRows):
    """Every strategy, on every worker."""

    def __init__(self, book: StrategyBook) -> None:
        super().__init__(book)
        self._strategies = book.strategies

    def get(self, key: str) -> Strategy:
        """The strategy as it stands."""
        return self._strategies[key]

    def keys(self) -> Iterator[str]:
        """Every id."""
        return iter(list(self._strategies))


class CountRows:
    """What happened to each strategy. It is in no topic: who takes a shard over counts anew."""

    def __init__(self, shards: Shards, book: StrategyBook) -> None:
        self._shards, self._book = shards, book

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Over the shards that this worker owns, which are named."""
        if key not in self._book.strategies:
            raise KeyError(key)
        owned = {p: each.deciding for p, each in self._shards.owned.items() if each.state is not State.CLOSED}
        counts: Counter[str] = Counter(dict.fromkeys((*StrategyCounts._fields, "executions"), 0))
        for deciding in owned.values():
            counts.update(deciding.counts_of(key) if deciding is not None else {})
        return {"shards": sorted(owned), **counts}

    def __iter__(self) -> Iterator[str]:
        """Every id."""
        return iter(list(self._book.strategies))
