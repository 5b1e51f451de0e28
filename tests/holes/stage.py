"""The real Faust classes with nobody behind them: an application that is not started, shards that note what they hear."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from faust.types import TP

from streams.kafka import tables
from streams.kafka.faust_app import TickgateApp
from streams.kafka.fetch import Bounds, RawRun
from streams.kafka.record_batch import Response
from streams.kafka.transport import Consumer, ConsumerThread
from streams.settings import Settings
from tests.kafka.batches import COMMIT, Row, batch, marker

TICKS, CHANGELOG, STRATEGIES = TP("h.ticks", 0), TP("h.rows", 0), TP("h.strategy-changes", 0)


class NotingShards:
    """Stands where the shards stand."""

    def __init__(self) -> None:
        self.stands: dict[int, int] = {}
        self.heard: list[Any] = []
        self.full = False

    async def fence(self, partitions: Collection[int]) -> None:
        self.heard.append("fenced")

    def position(self, partition: int) -> int | None:
        return self.stands.get(partition)

    def seeked(self, positions: Mapping[int, tuple[int, Bounds]]) -> None:
        self.heard.append({partition: at for partition, (at, _) in positions.items()})

    def wants_more(self, partition: int) -> bool:
        return not self.full

    def fetched(self) -> None:
        pass

    def committed(self) -> dict[int, int]:
        return {}

    async def drain(self) -> None:
        self.heard.append("drained")


class NotingRows:
    """Stands where a table's rows are; fails if told to."""

    def __init__(self) -> None:
        self.runs: list[RawRun] = []
        self.fails_with: Exception | None = None

    def take(self, run: RawRun) -> None:
        if self.fails_with is not None:
            raise self.fails_with
        self.runs.append(run)

    async def recovered(self) -> None:
        if self.fails_with is not None:
            raise self.fails_with

    def read_up_to(self, partition: int) -> int | None:
        return None

    def get(self, key: str) -> Any:
        raise KeyError(key)

    def keys(self) -> Sequence[str]:
        return ()


class Thread(ConsumerThread):
    """Runs what it is asked in the loop of who asks."""

    async def call_thread(self, fun: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        found = fun(*args, **kwargs)
        return await found if asyncio.iscoroutine(found) else found


class App(TickgateApp):
    """Not started; its consumer has no thread of its own."""

    consumer: Consumer
    noting: NotingShards

    def with_table(self, tp: TP, rows: NotingRows, stop_worker: Callable[[BaseException], None]) -> tables.StateTable:
        """A table of state whose changelog is that of `tp`."""
        return self._with(tables.StateTable, tp, tables.STATE_BUFFER_RUNS, rows, stop_worker, {})

    def with_strategies(
        self, tp: TP, rows: NotingRows, stop_worker: Callable[[BaseException], None]
    ) -> tables.StrategiesTable:
        """The table of strategies."""
        made = self._with(tables.StrategiesTable, tp, tables.GLOBAL_BUFFER_RUNS, rows, stop_worker, {"is_global": True})
        made.notices = self.channel()
        return made

    def _with(self, kind: Any, tp: TP, runs: int, rows: NotingRows, stop_worker: Any, options: dict[str, Any]) -> Any:
        topic = tables.changelog(self, tp.topic, 1)
        named = {"name": tp.topic, "rows": rows, "changelog_topic": topic, "partitions": 1, "stop_worker": stop_worker}
        table = kind(self, recovery_buffer_size=runs, **named, **options)
        self.tables.add(table)
        return table


def make_app(shards: NotingShards, *, broker: str = "localhost:9", prefix: str = "h.", group: str = "holes") -> App:
    """Make an application; needs a running loop."""
    app = App(Settings(broker=broker, topic_prefix=prefix, app_id=group), shards)
    consumer = app.consumer
    assert isinstance(consumer, Consumer)
    consumer._thread = Thread(consumer, loop=consumer.loop, beacon=consumer.beacon)
    return app


def run_of(tp: TP, start: int, position: int, count: int | None = None) -> RawRun:
    """Make a run with a record for each offset, or with so many; what is left of the offsets is a marker."""
    count = position - start if count is None else count
    data = batch([Row(i) for i in range(count)], start) if count else marker(COMMIT, 1, start)
    read = Response(data, start).next_run()
    assert read is not None
    assert len(read.columns) == count
    return RawRun(tp.topic, tp.partition, start, position, read.columns)
