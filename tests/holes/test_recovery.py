"""Faults of Faust's recovery that lose state, or hide that it is lost; none can happen here.

Each test runs with our cure and without it. Places are those of faust-streaming 0.15.3.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from faust.tables.recovery import Recovery
from faust.types import TP

from streams.kafka import tables, transport
from streams.kafka.fetch import RawRun
from tests.holes.cures import with_and_without_the_cure, without
from tests.holes.real import consuming
from tests.holes.stage import CHANGELOG, STRATEGIES, TICKS, NotingRows, NotingShards, event_of, make_app, run_of
from tests.kafka.conftest import MakeTopic
from tests.kafka.shard_stage import at_rest
from tests.kafka.shared_broker import SharedBroker

ERROR = ValueError("a row that cannot be read")


class Stage:
    """An application with the two kinds of table, in recovery."""

    def __init__(self) -> None:
        self.shards, self.ended = NotingShards(), list[BaseException]()
        self.app = make_app(self.shards)
        self.rows, self.changes = NotingRows(), NotingRows()
        self.state = self.app.with_table(CHANGELOG, self.rows, self.ended.append)
        self.strategies = self.app.with_strategies(STRATEGIES, self.changes, self.ended.append)
        self.recovery: Recovery = self.app.tables.recovery
        self.app.flow_control.resume()

    def recovers(self, end: int) -> None:
        """The changelog ends here, and nothing of it has been read."""
        self.recovery.add_active(self.state, CHANGELOG)
        self.recovery.active_offsets[CHANGELOG] = -1
        self.recovery.active_highwaters[CHANGELOG] = end - 1
        self.recovery._set_recovery_started()

    async def reads(self, *runs: RawRun) -> None:
        """Let the recovery take what our consumer makes of these runs."""
        slurping = asyncio.create_task(task_of(Recovery._slurp_changelogs)(self.recovery))
        for records in self.app.consumer.as_records({CHANGELOG: list(runs)}).values():
            for record in records:
                await self.app.tables.changelog_queue.put(event_of(record))
        await at_rest()
        assert self.app.tables.changelog_queue.empty()
        slurping.cancel()
        await asyncio.gather(slurping, return_exceptions=True)

    async def ends_recovery(self) -> set[TP]:
        """Let the recovery run from its start to its end; tells what is fetched after it."""
        consumer, recovery = self.app.consumer, self.recovery
        self.app.thread.assigned = {CHANGELOG, STRATEGIES, TICKS}
        consumer._set_active_tps(self.app.thread.assigned)
        consumer.pause_partitions(self.app.thread.assigned)  # as in a rebalance
        recovery.add_active(self.state, CHANGELOG)
        recovery.add_active(self.strategies, STRATEGIES)
        recovery._generation_id = self.app.consumer_generation_id
        self.app._fetcher = NoFetcher()
        recovery.signal_recovery_start.set()
        running = asyncio.create_task(task_of(Recovery._restart_recovery)(recovery))
        await recovery.completed.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return set(consumer._active_partitions)


class NoFetcher:
    """Fetches nothing."""

    async def maybe_start(self) -> None:
        pass


def task_of(service_task: Any) -> Callable[..., Coroutine[Any, Any, None]]:
    """The function of a task of a service."""
    function: Callable[..., Coroutine[Any, Any, None]] = service_task.fun
    return function


@with_and_without_the_cure
def test_an_error_in_a_row_ends_the_worker_where_faust_logs_a_warning_and_waits_for_ever(
    monkeypatch: pytest.MonkeyPatch, cured: bool
) -> None:
    """`Recovery._slurp_changelogs` (tables/recovery.py) catches every exception."""
    if not cured:
        without(monkeypatch, tables._RowsTable, "apply_changelog_batch", "self._end(error)", "pass")

    async def main() -> None:
        stage = Stage()
        stage.rows.fails_with = ERROR
        stage.recovers(end=3)
        await stage.reads(run_of(CHANGELOG, 0, 3))
        assert stage.rows.asked.is_set()
        assert stage.ended == ([ERROR] if cured else [])
        assert stage.recovery.in_recovery  # and it stays so

    asyncio.run(main())


@with_and_without_the_cure
def test_an_error_when_state_is_made_ends_the_worker_where_faust_says_that_it_is_ready(
    monkeypatch: pytest.MonkeyPatch, cured: bool
) -> None:
    """`Recovery.on_recovery_completed` (tables/recovery.py) does not look at what its callbacks came to."""
    if not cured:
        without(monkeypatch, tables._RowsTable, "on_recovery_completed", "self._end(error)", "pass")

    async def main() -> None:
        stage = Stage()
        stage.rows.fails_with = ERROR
        await stage.ends_recovery()
        assert stage.recovery.completed.is_set()
        assert not stage.app.consumer.has_recovered
        assert stage.shards.heard == []  # no shard is told to go on, either way
        assert stage.ended == ([ERROR] if cured else [])

    asyncio.run(main())


@with_and_without_the_cure
def test_a_transaction_marker_at_the_end_of_a_changelog_does_not_hold_recovery_up(
    monkeypatch: pytest.MonkeyPatch, cured: bool
) -> None:
    """`Recovery.need_recovery` (tables/recovery.py) waits for the end less one, where no record stands."""
    if not cured:
        without(monkeypatch, transport, "run_records", "run.position - 1", "int(run.columns.offset[-1])")

    async def main() -> None:
        stage = Stage()
        stage.recovers(end=4)
        await stage.reads(run_of(CHANGELOG, 0, 4, count=3))
        assert sum(len(run.columns) for run in stage.rows.runs) == (3 if cured else 0)
        assert stage.recovery.in_recovery is not cured

    asyncio.run(main())


@with_and_without_the_cure
def test_markers_without_any_record_do_not_hold_recovery_up(monkeypatch: pytest.MonkeyPatch, cured: bool) -> None:
    """The same, where all that is left to read was aborted: the run is empty, and must be handed over."""
    if not cured:
        without(
            monkeypatch, transport.Consumer, "as_records", "if records:", "if any(len(run.columns) for run in runs):"
        )

    async def main() -> None:
        stage = Stage()
        stage.recovers(end=1)
        await stage.reads(run_of(CHANGELOG, 0, 1, count=0))
        assert stage.recovery.in_recovery is not cured

    asyncio.run(main())


@with_and_without_the_cure
def test_a_worker_does_not_go_on_reading_the_changelog_that_it_writes(
    monkeypatch: pytest.MonkeyPatch, cured: bool
) -> None:
    """`Recovery._restart_recovery` (tables/recovery.py) resumes every changelog whose buffer is 1."""
    if not cured:
        monkeypatch.setattr(tables, "STATE_BUFFER_RUNS", 1)

    async def main() -> None:
        fetched = await Stage().ends_recovery()
        assert (CHANGELOG in fetched) is not cured
        assert TICKS in fetched

    asyncio.run(main())


@with_and_without_the_cure
def test_a_lone_worker_sees_later_changes_of_strategies(monkeypatch: pytest.MonkeyPatch, cured: bool) -> None:
    """`Recovery._restart_recovery` (tables/recovery.py) pauses a GlobalTable's changelog with any larger buffer."""
    if not cured:
        monkeypatch.setattr(tables, "GLOBAL_BUFFER_RUNS", 1000)

    async def main() -> None:
        assert (STRATEGIES in await Stage().ends_recovery()) is cured

    asyncio.run(main())


@with_and_without_the_cure
def test_real_transactions_in_a_changelog_do_not_hold_recovery_up(
    real_broker: SharedBroker, make_topic: MakeTopic, monkeypatch: pytest.MonkeyPatch, cured: bool
) -> None:
    """The same with the markers that a broker writes: rows committed, then rows aborted."""
    if not cured:
        without(monkeypatch, transport, "run_records", "run.position - 1", "int([-1, *run.columns.offset][-1])")
    topic = make_topic()

    async def main() -> None:
        await two_transactions(real_broker.bootstrap, topic)
        async with consuming(real_broker.bootstrap, topic, isolation_level="read_committed") as consumer:
            tp = TopicPartition(topic, 0)
            end, runs = (await consumer.end_offsets([tp]))[tp], list[RawRun]()
            while await consumer.position(tp) < end:
                runs += (await consumer.runs.getmany([tp], timeout_ms=100)).get(tp, [])
        stage = Stage()
        stage.recovers(end)
        await stage.reads(*(run._replace(topic=CHANGELOG.topic) for run in runs))
        assert stage.recovery.in_recovery is not cured

    asyncio.run(main())


async def two_transactions(bootstrap: str, topic: str) -> None:
    """One is committed, one aborted; both have ended when this returns."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=topic) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"row", partition=0)
        await producer.commit_transaction()
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"row", partition=0)
        await producer.abort_transaction()
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=topic):
        pass  # the same id begins anew only when nothing is left open


@with_and_without_the_cure
def test_an_earlier_owner_is_shut_out_before_the_end_of_a_changelog_is_read(
    monkeypatch: pytest.MonkeyPatch, cured: bool
) -> None:
    """`Consumer.on_partitions_assigned` (transport/consumer.py) starts the recovery, which reads the end at once.

    What an earlier owner still wrote would stand behind that end, and never be read.
    """
    if not cured:
        cure = "await self.shards.fence([tp.partition for tp in assigned if tp.topic == self.ticks_topic])"
        without(monkeypatch, transport.Consumer, "on_partitions_assigned", cure, "pass")

    async def main() -> None:
        stage = Stage()
        heard = stage.shards.heard

        async def assigned(tps: set[TP], generation_id: int) -> None:
            heard.append("recovery starts")

        stage.app.consumer._on_partitions_assigned = assigned
        await stage.app.consumer.on_partitions_assigned({TICKS, CHANGELOG}, 1)
        assert heard == (["fenced", "recovery starts"] if cured else ["recovery starts"])

    asyncio.run(main())
