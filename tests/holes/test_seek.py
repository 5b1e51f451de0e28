"""Faults of Faust's seek after a rebalance, which goes to where the group has committed; none can happen here.

Each test runs with our cure and without it. Places are those of faust-streaming 0.15.3.
"""

import asyncio
import uuid
from typing import Any

import faust.transport.drivers.aiokafka as driver
import pytest
from aiokafka import TopicPartition
from faust.types import TP

from streams.kafka.transport import Consumer, ConsumerThread
from tests.holes.cures import with_and_without_the_cure, without
from tests.holes.real import consuming, produced
from tests.holes.stage import CHANGELOG, TICKS, NotingRows, NotingShards, make_app, run_of
from tests.kafka.conftest import MakeTopic
from tests.kafka.shared_broker import SharedBroker


def staged(shards: NotingShards, *, recovered: bool) -> Any:
    """An application with a table; the group has committed 100, the log ends at 200."""
    app = make_app(shards)
    app.with_table(CHANGELOG, NotingRows(), print)
    app.thread.assigned, app.thread.ends = {TICKS, CHANGELOG}, {TICKS: 200}
    app.thread.group = {TICKS: 100, CHANGELOG: None}
    app.consumer._set_active_tps({TICKS, CHANGELOG})
    app.consumer.has_recovered = recovered
    return app


@with_and_without_the_cure
def test_a_seek_before_the_recovery_is_not_trusted(monkeypatch: pytest.MonkeyPatch, cured: bool) -> None:
    """`Consumer.getmany` (transport/consumer.py) seeks whenever the flow has stopped during a fetch."""
    if not cured:
        without(monkeypatch, Consumer, "perform_seek", "not self.has_recovered", "False")

    async def main() -> None:
        shards = NotingShards()
        app = staged(shards, recovered=False)

        async def rebalanced(active_partitions: set[TP], timeout: float) -> dict[TP, list[Any]]:  # noqa: ASYNC109 - Faust's
            app.consumer.stop_flow()
            return {}

        monkeypatch.setattr(app.thread, "getmany", rebalanced)
        assert [each async for each in app.consumer.getmany(timeout=0.1)] == []
        assert shards.heard == ([] if cured else [{0: 0}])  # told to begin anew: its rows are not there yet
        assert app.consumer.has_sought is not cured

    asyncio.run(main())


@with_and_without_the_cure
def test_the_state_says_where_the_input_goes_on_and_not_the_group(monkeypatch: pytest.MonkeyPatch, cured: bool) -> None:
    """`Consumer.perform_seek` (transport/consumer.py) goes to the offsets of the group, which may lie elsewhere."""
    if not cured:
        monkeypatch.setattr(Consumer, "perform_seek", driver.Consumer.perform_seek)

    async def main() -> None:
        shards = NotingShards()
        shards.stands[0] = 70
        app = staged(shards, recovered=True)
        await app.consumer.perform_seek()
        assert app.thread.at[TICKS] == (70 if cured else 100)

    asyncio.run(main())


@with_and_without_the_cure
def test_a_partition_without_a_commit_is_read_from_its_beginning(
    real_broker: SharedBroker, make_topic: MakeTopic, monkeypatch: pytest.MonkeyPatch, cured: bool
) -> None:
    """`seek_to_committed` (aiokafka), and so `Consumer.perform_seek`, leaves such a partition where it stands.

    What was fetched too early has moved it, and is thrown away: those ticks would never come again.
    """
    if not cured:
        without(monkeypatch, Consumer, "perform_seek", "await self._thread.seek_to_beginning(*bare)", "pass")
    prefix, ticks = f"{uuid.uuid4().hex[:8]}.", TP(make_topic(), 0)

    async def main() -> None:
        shards = NotingShards()
        app = make_app(shards, broker=real_broker.bootstrap, prefix=prefix, thread=ConsumerThread)
        app.consumer.ticks_topic = ticks.topic
        await produced(real_broker.bootstrap, ticks.topic, 3)
        async with consuming(real_broker.bootstrap, ticks.topic, group_id=prefix) as consumer:
            app.thread._consumer = consumer
            consumer.seek(TopicPartition(*ticks), 2)
            await app.consumer.perform_seek()
            assert shards.heard == [{0: 0 if cured else 2}]

    asyncio.run(main())


@with_and_without_the_cure
def test_runs_before_the_offset_of_the_group_are_not_dropped_on_their_way(
    monkeypatch: pytest.MonkeyPatch, cured: bool
) -> None:
    """`Consumer._drain_messages` (transport/consumer.py) drops what lies below `_read_offset`.

    `Consumer.perform_seek` sets that to the offset of the group, which may be ahead of where the state stands.
    """
    if not cured:
        without(monkeypatch, Consumer, "perform_seek", "self._read_offset[tp] = None", "pass")

    async def main() -> list[int]:
        shards = NotingShards()
        shards.stands[0] = 70
        app = staged(shards, recovered=True)
        await app.consumer.perform_seek()
        return await delivered(app, run_of(TICKS, 70, 90))

    assert asyncio.run(main()) == ([89] if cured else [])


async def delivered(app: Any, run: Any) -> list[int]:
    """The offsets of what Faust hands on, when this run was fetched."""
    found: list[int] = []
    rounds = iter([app.consumer.as_records({TICKS: [run]})])

    async def getmany(active_partitions: set[TP], timeout: float) -> Any:  # noqa: ASYNC109 - Faust's
        fetched = next(rounds, None)
        if fetched is None:
            app.consumer._stopped.set()
        return fetched or {}

    async def callback(message: Any) -> None:
        found.append(message.offset)

    app.thread.getmany, app.consumer.callback = getmany, callback
    app.flow_control.resume()
    await app.consumer._drain_messages(app.consumer)
    return found
