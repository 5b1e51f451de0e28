"""Faults of Faust's commit, which moves the input on although the output may be lost; none can happen here.

Each test runs with our cure and without it. Places are those of faust-streaming 0.15.3.
"""

import asyncio
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from faust.events import Event
from faust.types import ConsumerMessage

import agents.ticks
from streams.kafka.transport import Consumer
from tests.holes.cures import with_and_without_the_cure, without
from tests.holes.stage import CHANGELOG, TICKS, NotingRows, NotingShards, make_app, run_of
from tests.kafka.shard_stage import at_rest, until

COMMITS = {TICKS: 3}
"""What Faust commits when the run up to 3 is acknowledged."""


def staged() -> Any:
    """An application that owns a partition of ticks, with an agent of ticks."""
    app = make_app(NotingShards())
    app.with_table(CHANGELOG, NotingRows(), print)
    app.thread.assigned = {TICKS}
    app.topics.acking_topics.add(TICKS.topic)
    app.flow_control.resume()
    return app


def message_of(app: Any, start: int, position: int) -> ConsumerMessage:
    """A message as the consumer hands it on."""
    records = app.consumer.as_records({TICKS: [run_of(TICKS, start, position)]})[TICKS]
    message: ConsumerMessage = app.consumer._to_message(TICKS, records[0])
    app.consumer.track_message(message)
    return message


def take_the_cure_out(monkeypatch: pytest.MonkeyPatch, *, cured: bool) -> None:
    """Let the offset be what Faust makes of its acknowledgements."""
    if not cured:
        monkeypatch.delattr(Consumer, "_new_offset")


class Stuck:
    """A channel to a broker that does not answer."""

    async def publish_message(self, message: Any, *, wait: bool) -> None:  # noqa: ARG002 - as the real one
        await asyncio.Event().wait()


@with_and_without_the_cure
def test_no_offset_is_committed_while_output_waits_to_be_sent(monkeypatch: pytest.MonkeyPatch, cured: bool) -> None:
    """`ProducerBuffer.flush_atmost` (transport/producer.py) gives up after 100 ms; the commit goes on all the same."""
    take_the_cure_out(monkeypatch, cured=cured)

    async def main() -> None:
        app = staged()
        buffer = app.producer.buffer
        await buffer.start()
        for _ in range(2):
            buffer.put(SimpleNamespace(message=SimpleNamespace(channel=Stuck())))
        await until(lambda: buffer.size == 1)  # the first is on its way
        app.consumer.ack(message_of(app, 0, 3))
        await app.consumer.commit()
        assert buffer.size == 1
        assert app.thread.committed == ([] if cured else [COMMITS])
        for future in buffer._futures:
            future.cancel()

    asyncio.run(main())


@with_and_without_the_cure
def test_what_an_agent_failed_at_is_not_committed(monkeypatch: pytest.MonkeyPatch, cured: bool) -> None:
    """`Stream._py_aiter` (streams.py) acknowledges in a `finally`, also when the body of the agent raised."""
    take_the_cure_out(monkeypatch, cured=cured)

    async def fail(runs: Any) -> None:
        raise ValueError(runs[0].topic)

    async def main() -> None:
        app = staged()
        app.shards.take = fail
        topic = app.topic(TICKS.topic, key_serializer="raw", value_serializer="raw")
        agents.ticks.add(app, topic, app.shards)
        stream = app.stream(topic.clone(is_iterator=False), concurrency_index=0)
        message = message_of(app, 0, 3)
        await stream.channel.queue.put(Event(app, None, message.value, {}, message))
        await failing(app, stream)
        assert message.acked
        await app.consumer.commit()
        assert app.thread.committed == ([] if cured else [COMMITS])

    asyncio.run(main())


async def failing(app: Any, stream: faust.StreamT[Any]) -> None:
    """Run the agent's own function over a stream until it fails; what is left of its loop is closed."""
    agent = app.agents["ticks"]
    try:
        await agent.fun(stream)
    except ValueError:
        pass
    else:
        pytest.fail("it does not fail")
    await at_rest()


@with_and_without_the_cure
def test_a_later_run_does_not_commit_past_one_in_flight(monkeypatch: pytest.MonkeyPatch, cured: bool) -> None:
    """`Consumer._new_offset` (transport/consumer.py): the first acknowledgement after a start counts as the next.

    Issue 606 of faust-streaming.
    """
    take_the_cure_out(monkeypatch, cured=cured)

    async def main() -> None:
        app = staged()
        in_flight, later = message_of(app, 0, 2), message_of(app, 2, 3)
        app.consumer.ack(later)
        await app.consumer.commit()
        assert not in_flight.acked
        assert app.thread.committed == ([] if cured else [COMMITS])

    asyncio.run(main())


@with_and_without_the_cure
def test_the_last_checkpoint_is_made_on_shutdown_too(monkeypatch: pytest.MonkeyPatch, cured: bool) -> None:
    """`Consumer.on_stop` (transport/consumer.py) tells nobody that partitions are revoked; it waits until empty."""
    if not cured:
        without(monkeypatch, Consumer, "wait_empty", "await self.shards.drain()", "pass")

    async def main() -> None:
        app = staged()
        await app.consumer.on_stop()
        assert app.shards.heard == (["drained"] if cured else [])

    asyncio.run(main())
