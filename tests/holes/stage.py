"""The real Faust classes with nobody behind them: an application that is not started, and shards that note things."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

from faust.types import TP

from streams.kafka import tables
from streams.kafka.faust_app import TickgateApp
from streams.kafka.faust_records import RunRecord
from streams.kafka.fetch import Bounds, RawRun
from streams.kafka.record_batch import Response
from streams.kafka.transport import Consumer, ConsumerThread, Transport
from streams.settings import Settings
from tests.kafka.batches import COMMIT, Row, batch, marker

TICKS, CHANGELOG, STRATEGIES = TP("h.ticks", 0), TP("h.rows", 0), TP("h.strategy-changes", 0)


class NotingShards:
    """Stands where the shards stand."""

    def __init__(self) -> None:
        self.stands: dict[int, int] = {}
        self.heard: list[Any] = []
        self.full = False

    async def fence(self, partitions: Collection[int]) -> None:  # noqa: ARG002 - as the real one
        self.heard.append("fenced")

    def position(self, topic: str, partition: int) -> int | None:  # noqa: ARG002 - as the real one
        return self.stands.get(partition)

    def seeked(self, positions: Mapping[tuple[str, int], tuple[int, Bounds]]) -> None:
        self.heard.append({partition: at for (_, partition), (at, _) in positions.items()})

    def wants_more(self, topic: str, partition: int) -> bool:  # noqa: ARG002 - as the real one
        return not self.full

    def fetched(self) -> None:
        pass

    def committed(self) -> dict[int, int]:
        return {}

    async def drain(self) -> None:
        self.heard.append("drained")


class NotingResults:
    """Stands where the discoveries stand; owns nothing until it is told."""

    topic = "h.alert-results"

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.stands: dict[int, int] = {}
        self.full = False

    def seeked(self, positions: Mapping[int, int]) -> None:
        self.stands = dict(positions)
        self.heard.append(dict(positions))

    def sought(self, partition: int, offset: int) -> None:
        self.heard.append(("sought", partition, offset))

    def wants_more(self, partition: int) -> bool:  # noqa: ARG002 - as the real one
        return not self.full

    def fetched(self, partition: int, position: int) -> None:
        self.heard.append(("fetched", partition, position))

    def committed(self) -> dict[int, int]:
        return self.stands

    def idle_at(self) -> dict[int, int]:
        return {}

    async def let_go(self) -> None:
        self.heard.append("let go")


class NotingRows:
    """Stands where a table's rows are; fails if told to."""

    def __init__(self) -> None:
        self.runs: list[RawRun] = []
        self.asked = asyncio.Event()
        self.fails_with: Exception | None = None

    def take(self, run: RawRun) -> None:
        self.asked.set()
        if self.fails_with is not None:
            raise self.fails_with
        self.runs.append(run)

    async def recovered(self) -> None:
        if self.fails_with is not None:
            raise self.fails_with

    def read_up_to(self, partition: int) -> int | None:  # noqa: ARG002 - as the real one
        return None

    def get(self, key: str) -> Any:
        raise KeyError(key)

    def keys(self) -> Sequence[str]:
        return ()


class Broker(ConsumerThread):
    """Stands where a broker stands: notes what is sought and committed, and where the group has come to."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.assigned: set[TP] = set()
        self.group: dict[TP, int | None] = {}
        self.at: dict[TP, int] = {}
        self.ends: dict[TP, int] = {}
        self.committed: list[dict[TP, int]] = []

    def assignment(self) -> set[TP]:
        return set(self.assigned)

    async def highwaters(self, *partitions: TP) -> dict[TP, int]:
        return {tp: self.ends.get(tp, 0) for tp in partitions}

    async def earliest_offsets(self, *partitions: TP) -> dict[TP, int]:
        return dict.fromkeys(partitions, 0)

    async def position(self, tp: TP) -> int | None:
        return self.at.get(tp, 0)

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        self.at.update(partitions)

    async def seek_to_beginning(self, *partitions: Any) -> None:
        self.at.update({TP(*tp): 0 for tp in partitions})

    async def seek_to_committed(self) -> dict[TP, int]:
        self.at.update({tp: offset for tp, offset in self.group.items() if offset})
        return {tp: self.group.get(tp) for tp in self.assigned}  # type: ignore[misc]  # as aiokafka answers

    async def commit(self, offsets: Mapping[TP, int]) -> bool:
        self.committed.append(dict(offsets))
        return True

    def highwater(self, tp: TP) -> int:
        return self.ends.get(tp, 0)

    def _ensure_consumer(self) -> Any:
        return self._consumer


class App(TickgateApp):
    """Not started."""

    thread_kind: type[ConsumerThread] = Broker

    @property
    def thread(self) -> Any:
        """The stand-in of the thread."""
        return cast("Consumer", self.consumer)._thread

    def _new_transport(self) -> Any:
        kind = self.thread_kind

        class Staged(Consumer):
            def _new_consumer_thread(self) -> ConsumerThread:
                return kind(self, loop=asyncio.get_running_loop(), beacon=self.beacon)

        class StagedTransport(Transport):
            Consumer = Staged

        return StagedTransport(self.conf.broker, self, loop=self.loop)

    def with_table(self, tp: TP, rows: NotingRows, stop_worker: Callable[[BaseException], None]) -> tables.StateTable:
        """A table of state whose changelog is that of `tp`."""
        made = tables.StateTable(
            self, recovery_buffer_size=tables.STATE_BUFFER_RUNS, **self._options(tp, rows, stop_worker)
        )
        self.tables.add(made)
        return made

    def with_strategies(
        self, tp: TP, rows: NotingRows, stop_worker: Callable[[BaseException], None]
    ) -> tables.WholeTable:
        """The table of strategies."""
        made = tables.WholeTable(
            self,
            recovery_buffer_size=tables.GLOBAL_BUFFER_RUNS,
            is_global=True,
            **self._options(tp, rows, stop_worker),
        )
        made.notices = self.channel()
        self.tables.add(made)
        return made

    def _options(self, tp: TP, rows: NotingRows, stop_worker: Callable[[BaseException], None]) -> dict[str, Any]:
        topic = tables.changelog(self, tp.topic, 1)
        return {"name": tp.topic, "rows": rows, "changelog_topic": topic, "partitions": 1, "stop_worker": stop_worker}


def make_app(
    shards: NotingShards,
    *,
    broker: str = "localhost:9",
    prefix: str = "h.",
    group: str = "holes",
    thread: type[ConsumerThread] = Broker,
) -> Any:
    """Make an application; needs a running loop."""
    settings = Settings(broker=broker, topic_prefix=prefix, app_id=group)
    app = type("OneApp", (App,), {"thread_kind": thread})(settings, shards, NotingResults())
    app.consumer_generation_id = 1
    return app


def run_of(tp: TP, start: int, position: int, count: int | None = None) -> RawRun:
    """Make a run with a record for each offset, or with so many; what is left of the offsets is a marker."""
    count = position - start if count is None else count
    data = batch([Row(i) for i in range(count)], start) if count else marker(COMMIT, 1, start)
    read = Response(data, start).next_run()
    assert read is not None
    assert len(read.columns) == count
    return RawRun(tp.topic, tp.partition, start, position, read.columns)


def event_of(record: RunRecord) -> Any:
    """A record as recovery is handed it."""
    message = SimpleNamespace(
        tp=TP(record.topic, record.partition), offset=record.offset, value=record.value, topic=record.topic
    )
    return SimpleNamespace(message=message)
