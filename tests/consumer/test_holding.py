"""What a partition begins with when it comes, and what becomes of it when it goes, without a broker."""

import asyncio
import contextlib
from collections.abc import Iterator

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaConnectionError, KafkaError

from streams.consumer.holding import Holding
from streams.consumer.limits import Limits
from streams.consumer.under_way import UnderWay
from tests.consumer.ground import execution, in_loop

ONE = TopicPartition("alert-executions", 0)


class Broker:
    """As aiokafka's consumer: what the group has committed, and where it is told to read."""

    def __init__(self, first: int = 0, end: int = 100, offset: int | None = None) -> None:
        self.first, self.end, self.offset = first, end, offset
        self.sought: list[int] = []
        self.error: KafkaError | None = None

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        if self.error is not None:
            raise self.error
        yield

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        with self._answering():
            return dict.fromkeys(partitions, self.first)

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        with self._answering():
            return dict.fromkeys(partitions, self.end)

    async def committed(self, partition: TopicPartition) -> int | None:  # noqa: ARG002 - there is one
        with self._answering():
            return self.offset

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        with self._answering():
            self.offset = offsets[ONE]

    def seek(self, partition: TopicPartition, offset: int) -> None:  # noqa: ARG002 - there is one
        self.sought.append(offset)


def holding(broker: Broker, **limits: float) -> Holding:
    return Holding(broker, Limits(**{"look_back_records": 10, "hand_over_s": 0.01, **limits}), from_end=False)  # type: ignore[arg-type]


async def comes(held: Holding) -> UnderWay:
    await held.on_partitions_assigned([ONE])
    found = held.get(ONE)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("broker", "read_from", "resume_at"),
    [
        (Broker(), 0, 0),
        (Broker(offset=50), 40, 50),
        (Broker(offset=5), 0, 5),
        (Broker(first=45, offset=50), 45, 50),
        (Broker(first=60, offset=50), 60, 60),
        (Broker(offset=101), 0, 0),
    ],
)
def test_a_bounded_stretch_before_the_committed_offset_is_read_again(
    broker: Broker, read_from: int, resume_at: int
) -> None:
    async def story() -> None:
        placed = await comes(holding(broker))
        assert broker.sought == [read_from]
        assert (placed.read_to, placed.committable, placed.resume_at) == (max(read_from, 0), resume_at, resume_at)

    in_loop(story)


def test_a_partition_that_comes_back_is_not_read_again() -> None:
    async def story() -> None:
        broker = Broker()
        held = holding(broker)
        before = await comes(held)
        before.seen.unseen(execution())
        before.hand_out(20)
        before.settle(20)
        await held.on_partitions_revoked([ONE])
        assert before.let_go
        assert broker.offset == 21
        after = await comes(held)
        assert broker.sought[-1] == 21
        assert after.seen is before.seen

    in_loop(story)


@pytest.mark.parametrize("others_handled", [None, 40])
def test_what_was_handed_out_and_not_handled_is_not_taken_for_seen(others_handled: int | None) -> None:
    """Else it would be left out as a repeat when it comes again: lost."""

    async def story() -> None:
        broker = Broker(offset=20)
        held = holding(broker)
        before = await comes(held)
        before.pass_by(19)
        before.hand_out(20)
        before.seen.unseen(execution())
        await held.on_partitions_revoked([ONE])  # in vain: it does not end
        if others_handled is not None:
            before.settle(20)
            broker.offset = others_handled
        after = await comes(held)
        assert after.seen.unseen(execution()) is not None
        assert broker.sought[-1] == (others_handled or 20) - 10

    in_loop(story)


def test_a_partition_that_was_elsewhere_meanwhile_is_read_again() -> None:
    async def story() -> None:
        held = holding(Broker())
        before = await comes(held)
        before.seen.unseen(execution())
        await held.on_partitions_revoked([ONE])
        await held.on_partitions_assigned([])
        assert held.get(ONE) is None
        await held.on_partitions_revoked([])
        assert (await comes(held)).seen is not before.seen

    in_loop(story)


def test_a_commit_that_fails_is_made_up_for_later(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        broker = Broker()
        held = holding(broker)
        placed = await comes(held)
        placed.hand_out(0)
        placed.settle(0)
        broker.error = CommitFailedError("the group has moved on")
        await held.commit()
        assert "offsets are not committed: " in caplog.text
        assert placed.committed == 0
        broker.error = None
        await held.commit()
        assert broker.offset == placed.committed == 1

    in_loop(story)


def test_a_commit_without_an_answer_ends(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        broker = Broker()
        held = holding(broker, commit_within_s=0.01)
        placed = await comes(held)
        placed.hand_out(0)
        placed.settle(0)
        broker.commit = lambda _: asyncio.Event().wait()  # type: ignore[assignment,return-value]
        await held.commit()
        assert placed.committed == 0
        assert "offsets are not committed: TimeoutError" in caplog.text

    in_loop(story)


def test_a_broker_that_does_not_say_where_to_begin_is_an_error_of_the_reader() -> None:
    async def story() -> None:
        broker = Broker()
        held = holding(broker)
        broker.error = KafkaConnectionError("gone")
        await held.on_partitions_assigned([ONE])
        assert held.get(ONE) is None
        assert held.failure is broker.error

    in_loop(story)
