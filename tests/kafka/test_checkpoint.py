"""The checkpoint on a real Kafka: all of it or nothing, one owner, and an answer where the outcome was unknown."""

import contextlib
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError

from streams.kafka.checkpoint import STEPS, merged
from streams.kafka.kafka_process import KafkaProcess
from streams.kafka.producing import FencedError, UnsureError
from tests.kafka.checkpoint_stage import ATTEMPT_S, NOTHING, Ground, all_of, committed, story
from tests.kafka.shared_broker import SharedBroker


class Died(Exception):  # noqa: N818 - it is no error
    """A worker has been killed here."""


@pytest.fixture
def ground(real_broker: SharedBroker) -> Ground:
    return Ground(real_broker.bootstrap)


def test_executions_letters_and_rows_are_there_together_and_not_before(ground: Ground) -> None:
    transaction, seen = ground.transaction(), list[str]()

    def look(step: str, partition: int, position: int) -> None:
        assert (partition, position) == (0, 3)
        seen.append(step)
        if step != "committed":
            assert ground.found(settled=False) == NOTHING

    transaction.observe = look
    story(committed(transaction, ground.emission(3)))
    assert tuple(seen) == STEPS[1:]
    assert ground.found() == all_of(3)


def test_checkpoints_follow_each_other(ground: Ground) -> None:
    story(committed(ground.transaction(), *map(ground.emission, (3, 5, 9))))
    assert ground.found() == all_of(3, 5, 9)


def test_several_emissions_as_one_keep_their_order(ground: Ground) -> None:
    """At least once the rows of several follow together, and the last of them knows what all have changed."""
    emissions = [ground.emission(position)._replace(rows=()) for position in (3, 5)] + [ground.emission(9)]
    story(committed(ground.transaction(), merged(emissions)))
    wanted = {name: all_of(3, 5, 9)[name] for name in "xl"} | {name: all_of(9)[name] for name in "ub"}
    assert ground.found() == wanted


@pytest.mark.parametrize("where", ["executions_sent", "rows_sent", "before_commit"])
def test_what_dies_before_the_commit_leaves_nothing_to_readers_and_the_next_owner_does_it_anew(
    ground: Ground, where: str
) -> None:
    first, second = ground.transaction(), ground.transaction()

    def die(step: str, partition: int, position: int) -> None:
        if step == where:
            raise Died

    async def main() -> None:
        await first.open()
        first.observe = die
        with pytest.raises(Died):
            await first.commit(ground.emission(3))
        await committed(second, ground.emission(3))
        await first.close()

    story(main())
    assert ground.found() == all_of(3)


def test_an_older_owner_is_fenced(ground: Ground) -> None:
    first, second = ground.transaction(), ground.transaction()

    async def main() -> None:
        await first.open()
        await first.commit(ground.emission(3))
        await second.open()
        with pytest.raises(FencedError, match="another worker"):
            await first.commit(ground.emission(4))
        await second.commit(ground.emission(5))
        for each in (first, second):
            await each.close()

    story(main())
    assert ground.found() == all_of(3, 5)


def test_an_owner_who_is_fenced_in_the_middle_of_a_transaction_leaves_nothing(ground: Ground) -> None:
    first, second = ground.transaction(), ground.transaction()

    async def main() -> None:
        await first.open()
        commit = first._ready.commit_transaction

        async def late() -> None:
            await second.open()
            await commit()

        first._ready.commit_transaction = late
        with pytest.raises(FencedError):
            await first.commit(ground.emission(3))
        await second.commit(ground.emission(5))
        for each in (first, second):
            await each.close()

    story(main())
    assert ground.found() == all_of(5)


# An unknown outcome.


class AnswerLost(AIOKafkaProducer):  # type: ignore[misc]
    """The first commit reaches the broker, and its answer never comes back."""

    lost = False

    async def commit_transaction(self) -> None:
        await super().commit_transaction()
        if not AnswerLost.lost:
            AnswerLost.lost = True
            raise KafkaConnectionError("the connection is gone")


class RequestLost(AIOKafkaProducer):  # type: ignore[misc]
    """The first commit never reaches the broker."""

    lost = False

    async def commit_transaction(self) -> None:
        if not RequestLost.lost:
            RequestLost.lost = True
            raise KafkaConnectionError("the connection is gone")
        await super().commit_transaction()


@pytest.mark.parametrize(("kind", "happened"), [(AnswerLost, True), (RequestLost, False)])
def test_a_new_epoch_finds_out_whether_it_happened(ground: Ground, kind: Any, happened: bool) -> None:
    kind.lost = True
    transaction = ground.transaction(kind)

    async def main() -> None:
        await transaction.open()
        await transaction.commit(ground.emission(3))
        kind.lost = False
        with pytest.raises(UnsureError, match="the connection is gone"):
            await transaction.commit(ground.emission(5))
        await transaction.open()
        assert await transaction.happened(ground.emission(5)) is happened
        if not happened:
            await transaction.commit(ground.emission(5))
        await transaction.commit(ground.emission(9))
        await transaction.close()

    story(main())
    assert ground.found() == all_of(3, 5, 9)


def test_behind_what_happened_after_all_the_next_question_is_asked(ground: Ground) -> None:
    AnswerLost.lost = True
    transaction = ground.transaction(AnswerLost)

    async def main() -> None:
        await transaction.open()
        for position in (3, 5):
            AnswerLost.lost = False
            with pytest.raises(UnsureError):
                await transaction.commit(ground.emission(position))
            await transaction.open()
            assert await transaction.happened(ground.emission(position))
        assert not await transaction.happened(ground.emission(7))
        await transaction.close()

    story(main())
    assert ground.found() == all_of(3, 5)


def test_where_another_worker_has_gone_on_an_owner_learns_that_it_is_none(ground: Ground) -> None:
    RequestLost.lost = False
    first = ground.transaction(RequestLost)

    async def main() -> None:
        await first.open()
        with pytest.raises(UnsureError):
            await first.commit(ground.emission(3))
        await committed(ground.transaction(), ground.emission(4))
        await first.open()
        with pytest.raises(FencedError, match="the changelog says 4, where only 3 could be"):
            await first.happened(ground.emission(3))
        await first.close()

    story(main())
    assert ground.found() == all_of(4)


def test_an_owner_that_was_told_where_the_changelog_ended_does_not_take_older_rows_for_its_own(ground: Ground) -> None:
    story(committed(ground.transaction(), ground.emission(3)))
    transaction = ground.transaction()

    async def main() -> None:
        await transaction.open()
        transaction.stands(3)  # two rows and a marker
        assert not await transaction.happened(ground.emission(3))
        transaction.stands(0)
        assert await transaction.happened(ground.emission(3))
        await transaction.close()

    story(main())


@pytest.mark.parametrize("where", ["rows_sent", "before_commit"])
def test_whatever_becomes_of_a_commit_on_a_broker_that_freezes_it_happens_once(
    own_kafka: KafkaProcess, where: str
) -> None:
    ground = Ground(own_kafka.bootstrap)
    transaction = ground.transaction()

    def freeze(step: str, partition: int, position: int) -> None:
        if step == where:
            own_kafka.pause()
            transaction.observe = lambda *_: None

    async def main() -> None:
        await committed(ground.transaction(), ground.emission(3))
        await transaction.open()
        transaction.stands(3)
        transaction.observe, transaction.timeout_s = freeze, 1.0
        with pytest.raises(UnsureError):
            await transaction.commit(ground.emission(5))
        own_kafka.resume()
        transaction.timeout_s = ATTEMPT_S
        happened: bool | None = None
        while happened is None:
            with contextlib.suppress(KafkaError, TimeoutError, OSError):
                await transaction.open()
                happened = await transaction.happened(ground.emission(5))
        assert ground.found(settled=False) == (all_of(3, 5) if happened else all_of(3))
        if not happened:
            await transaction.commit(ground.emission(5))
        await transaction.close()

    try:
        story(main())
    finally:
        own_kafka.resume()
    assert ground.found() == all_of(3, 5)
