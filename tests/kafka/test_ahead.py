"""Executions that go out ahead: those of several shards together, and none suffers for another."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

import pytest

from streams.core.records import records_of
from streams.kafka import ahead as under_test
from streams.kafka.ahead import Ahead
from streams.kafka.producing import Keyed, Outgoing, RefusedError, UnsureError
from tests.kafka.shard_stage import at_rest, until

TOPIC, PARTITIONS = "executions", 2
BAD = b"bad"


def keyed(*values: bytes) -> list[Keyed]:
    """Executions of one shard, some for each partition: s0 hashes to the first, s1 to the second."""
    return [Keyed(TOPIC, PARTITIONS, records_of([(key, value) for value in values for key in (b"s0", b"s1")], 7))]


class NothingWaits:
    """What an ended producer has left to be sent."""

    _batches: ClassVar[dict[object, object]] = {}
    _pending_batches = ()

    def fail_all(self, error: Exception) -> None:
        """As aiokafka's does."""


class Producer:
    """Stands where a producer stands."""

    def __init__(self, stage: "Stage") -> None:
        self.stage, self._message_accumulator = stage, NothingWaits()

    async def start(self) -> None:
        self.stage.started += 1
        if self.stage.start_fails:
            raise OSError("no broker")

    async def stop(self) -> None:
        self.stage.stopped += 1


class Stage(Ahead):
    """Notes what is sent together, and refuses what is bad."""

    def __init__(self) -> None:
        producer: Any = lambda: Producer(self)  # noqa: E731 - it has no name to be known by
        super().__init__(producer, "none", 60)
        self.started = self.stopped = 0
        self.start_fails = False
        self.sent: list[dict[int, list[bytes | None]]] = []
        self.free = asyncio.Event()
        self.free.set()
        self.errors: list[Exception] = []

    async def _send(self, outgoing: Sequence[Outgoing], letters: Sequence[Any] = ()) -> dict[tuple[str, int], int]:
        assert not letters
        together = {each.partition: [each.records.value(i) for i in range(each.records.count)] for each in outgoing}
        assert len(together) == len(outgoing), "one piece for each partition"
        await self.free.wait()
        if any(BAD in values for values in together.values()):
            raise RefusedError("too large")
        if self.errors:
            raise self.errors.pop()
        self.sent.append(together)
        return {}


def staged(story: Callable[[Stage], Awaitable[None]], monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        stage = Stage()
        await story(stage)
        await stage.close()

    monkeypatch.setattr(under_test, "GATHER_S", 0.0)
    asyncio.run(main())


def test_what_comes_while_one_attempt_is_on_its_way_goes_out_together_and_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(stage: Stage) -> None:
        await stage.open()
        stage.free.clear()
        sending = [asyncio.create_task(stage.send(keyed(value))) for value in (b"a", b"b")]
        await at_rest()
        sending += [asyncio.create_task(stage.send(keyed(*values))) for values in ((b"c", b"d"), (b"e",))]
        await at_rest()
        assert not any(each.done() for each in sending)
        stage.free.set()
        await asyncio.gather(*sending)
        assert stage.sent[0] == {0: [b"a", b"b"], 1: [b"a", b"b"]}
        assert stage.sent[1:] == [{0: [b"c", b"d", b"e"], 1: [b"c", b"d", b"e"]}]

    staged(story, monkeypatch)


def test_all_shards_open_one_producer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(stage: Stage) -> None:
        await asyncio.gather(stage.open(), stage.open())
        await stage.send(keyed(b"a"))
        assert stage.started == 1

    staged(story, monkeypatch)


def test_what_may_not_have_arrived_is_told_to_all_and_the_next_goes_by_a_new_producer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(stage: Stage) -> None:
        await stage.open()
        stage.errors.append(UnsureError("no answer"))
        found = await asyncio.gather(stage.send(keyed(b"a")), stage.send(keyed(b"b")), return_exceptions=True)
        assert [type(each) for each in found] == [UnsureError, UnsureError]
        await stage.send(keyed(b"a"))
        assert (stage.started, stage.stopped, stage.sent) == (2, 1, [{0: [b"a"], 1: [b"a"]}])

    staged(story, monkeypatch)


def test_a_broker_that_is_not_there_leaves_it_unsure(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(stage: Stage) -> None:
        stage.start_fails = True
        with pytest.raises(UnsureError, match="no broker"):
            await stage.send(keyed(b"a"))
        stage.start_fails = False
        await stage.send(keyed(b"a"))
        assert stage.sent == [{0: [b"a"], 1: [b"a"]}]

    staged(story, monkeypatch)


def test_what_is_refused_is_told_to_the_shard_that_sent_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(stage: Stage) -> None:
        await stage.open()
        sending = [stage.send(keyed(value)) for value in (b"a", BAD, b"c")]
        found = await asyncio.gather(*sending, return_exceptions=True)
        assert [type(each) for each in found] == [type(None), RefusedError, type(None)]
        assert stage.sent == [{0: [b"a"], 1: [b"a"]}, {0: [b"c"], 1: [b"c"]}]

    staged(story, monkeypatch)


def test_a_shard_that_has_gone_is_not_sent_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(stage: Stage) -> None:
        await stage.open()
        stage.free.clear()
        first = asyncio.create_task(stage.send(keyed(b"a")))
        await at_rest()
        gone, last = (asyncio.create_task(stage.send(keyed(value))) for value in (b"b", b"c"))
        await at_rest()
        gone.cancel()
        await at_rest()
        stage.free.set()
        await asyncio.gather(first, last)
        assert stage.sent == [{0: [b"a"], 1: [b"a"]}, {0: [b"c"], 1: [b"c"]}]

    staged(story, monkeypatch)


def test_who_still_waits_when_it_closes_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(stage: Stage) -> None:
        await stage.open()
        stage.free.clear()
        waiting = [asyncio.create_task(stage.send(keyed(value))) for value in (b"a", b"b")]
        await at_rest()
        await stage.close()
        await until(lambda: all(each.cancelled() for each in waiting))
        assert stage.sent == []

    staged(story, monkeypatch)
