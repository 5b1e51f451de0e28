"""Faults of Faust's that lose results; none can happen here. Each runs with our cure, and without it.

Without it `alert-results` is a topic as any other: Faust commits what was acknowledged.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata
from faust.events import Event
from faust.types import TP, ConsumerMessage

import agents.results
from streams.kafka.transport import Consumer
from tests.holes.cures import with_and_without_the_cure, without
from tests.holes.stage import CHANGELOG, NotingRows, NotingShards, make_app, run_of
from tests.kafka.shard_stage import at_rest

RESULTS = TP("h.alert-results", 0)
COMMITS = {RESULTS: 3}
"""What Faust commits when the run up to 3 is acknowledged."""


def staged(monkeypatch: pytest.MonkeyPatch, *, cured: bool) -> Any:
    """An application that owns a partition of results, with their agent."""
    app = make_app(NotingShards())
    app.with_table(CHANGELOG, NotingRows(), print)
    app.thread.assigned = {RESULTS}
    app.topics.acking_topics.add(RESULTS.topic)
    app.flow_control.resume()
    assert app.consumer.is_in_runs(RESULTS.topic)
    if not cured:
        monkeypatch.delattr(Consumer, "_new_offset")
    return app


class Client:
    """Stands where aiokafka stands, and notes what it is asked."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    async def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        self.heard.append({TP(*tp): told.offset for tp, told in offsets.items()})

    def seek(self, partition: TP, offset: int) -> None:
        self.heard.append((partition, offset))


def message_of(app: Any, start: int, position: int) -> ConsumerMessage:
    """A message as the consumer hands it on."""
    (record,) = app.consumer.as_records({RESULTS: [run_of(RESULTS, start, position)]})[RESULTS]
    message: ConsumerMessage = app.consumer._to_message(RESULTS, record)
    app.consumer.track_message(message)
    return message


@with_and_without_the_cure
def test_results_that_discovery_failed_at_are_not_committed(monkeypatch: pytest.MonkeyPatch, cured: bool) -> None:
    """`Stream._py_aiter` (streams.py) acknowledges in a `finally`, also when the body of the agent raised."""

    class Fails:
        async def take(self, run: Any) -> None:
            raise ValueError(run.topic)

    async def main() -> None:
        app = staged(monkeypatch, cured=cured)
        topic = app.topic(RESULTS.topic, key_serializer="raw", value_serializer="raw")
        agents.results.add(app, topic, Fails())  # type: ignore[arg-type]  # it only takes
        stream = app.stream(topic.clone(is_iterator=False), concurrency_index=0)
        message = message_of(app, 0, 3)
        await stream.channel.queue.put(Event(app, None, message.value, {}, message))
        with pytest.raises(ValueError, match=RESULTS.topic):
            await app.agents["results"].fun(stream)
        await at_rest()
        assert message.acked
        await app.consumer.commit()
        assert app.thread.committed == ([] if cured else [COMMITS])

    asyncio.run(main())


@with_and_without_the_cure
def test_later_results_do_not_commit_past_those_in_flight(monkeypatch: pytest.MonkeyPatch, cured: bool) -> None:
    """`Consumer._new_offset` (transport/consumer.py): the first acknowledgement after a start counts as the next."""

    async def main() -> None:
        app = staged(monkeypatch, cured=cured)
        in_flight, later = message_of(app, 0, 2), message_of(app, 2, 3)
        app.consumer.ack(later)
        await app.consumer.commit()
        assert not in_flight.acked
        assert app.thread.committed == ([] if cured else [COMMITS])

    asyncio.run(main())


@with_and_without_the_cure
def test_results_of_a_group_that_never_committed_are_read_from_their_start(
    monkeypatch: pytest.MonkeyPatch, cured: bool
) -> None:
    """`seek_to_committed` (drivers/aiokafka.py) leaves a partition without a commit where it happens to stand."""
    if not cured:
        without(monkeypatch, Consumer, "perform_seek", "for tp in results if not", "for tp in () if not")

    async def main() -> None:
        app = staged(monkeypatch, cured=True)
        app.consumer.has_recovered, app.thread.at[RESULTS], app.thread.ends[RESULTS] = True, 7, 9
        await app.consumer.perform_seek()
        assert app.results.stands == {0: 0 if cured else 7}

    asyncio.run(main())


@with_and_without_the_cure
def test_discovery_lets_go_of_results_before_a_rebalance_waits_for_it(
    monkeypatch: pytest.MonkeyPatch, cured: bool
) -> None:
    """`Consumer.wait_empty` (transport/consumer.py) waits for whatever an agent works on, for as long as that takes."""
    if not cured:
        without(monkeypatch, Consumer, "wait_empty", "await self.results.let_go()", "pass")

    async def main() -> None:
        app = staged(monkeypatch, cured=True)
        app.results.stands = {0: 5}
        app.thread._consumer = client = Client()
        await app.consumer.wait_empty()
        assert app.results.heard == (["let go"] if cured else [])
        assert client.heard == [{RESULTS: 5}]

    asyncio.run(main())


def test_a_partition_is_fetched_only_behind_the_seek_and_while_there_is_room() -> None:
    async def main() -> None:
        app = make_app(NotingShards())
        assert not app.consumer.may_fetch(RESULTS)
        app.consumer.has_sought = True
        assert app.consumer.may_fetch(RESULTS)
        app.results.full = True
        assert not app.consumer.may_fetch(RESULTS)
        app.consumer.as_records({RESULTS: [run_of(RESULTS, 0, 3), run_of(RESULTS, 3, 4)]})
        app.thread._consumer = client = Client()
        await app.consumer.seek(RESULTS, 2)
        assert client.heard == [(RESULTS, 2)]
        assert app.results.heard == [("fetched", 0, 4), ("sought", 0, 2)]

    asyncio.run(main())
