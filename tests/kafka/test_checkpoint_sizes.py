"""What a checkpoint sends, on a real Kafka: of any size, refused where it is too large, and at least once ahead."""

import pytest

from streams.core.records import records_of
from streams.kafka.compression import CODECS
from streams.kafka.kafka_process import KafkaProcess
from streams.kafka.producing import BATCH_BYTES, Keyed, RefusedError, UnsureError
from tests.kafka.checkpoint_stage import ATTEMPT_S, NOTHING, Ground, all_of, committed, story
from tests.kafka.shared_broker import SharedBroker


@pytest.fixture
def ground(real_broker: SharedBroker) -> Ground:
    return Ground(real_broker.bootstrap)


@pytest.mark.parametrize("compression", sorted(CODECS))
def test_every_compression_arrives(ground: Ground, compression: str) -> None:
    story(committed(ground.transaction(compression=compression), ground.emission(3)))
    assert ground.found() == all_of(3)


# Sizes.


def test_more_than_a_batch_is_split_and_stays_in_order(ground: Ground) -> None:
    values = [bytes([number]) * (BATCH_BYTES // 2 + 1) for number in range(5)]
    emission = ground.emission(3, values)
    story(committed(ground.transaction(), emission))
    ground.settle()
    assert ground.read(ground.executions) == values * 2


def test_a_record_too_large_is_refused_for_good_with_the_reason(ground: Ground) -> None:
    transaction = ground.transaction()
    large = ground.emission(3)._replace(
        executions=[Keyed(ground.executions, 2, records_of([(b"s", bytes(2_000_000))], 0))]
    )

    async def main() -> None:
        await transaction.open()
        with pytest.raises(RefusedError, match="MessageSizeTooLarge") as error:
            await transaction.commit(large)
        assert "max.message.bytes" in str(error.value)
        await transaction.close()

    story(main())
    assert ground.found() == NOTHING


def test_more_letters_than_a_batch_takes_all_arrive(ground: Ground) -> None:
    emission = ground.emission(3)
    (group,) = emission.letters
    (letter, ts_ms) = group.letters[0]
    many = [(letter._replace(value=bytes([number]) * 3_000), ts_ms) for number in range(30)]
    story(committed(ground.transaction(), emission._replace(letters=[group._replace(letters=many)])))
    ground.settle()
    assert ground.read(ground.letters) == [letter.value for letter, _ in many]


# At least once.


def test_executions_sent_ahead_are_there_before_any_row(ground: Ground) -> None:
    ahead, emission = ground.ahead(), ground.emission(3)

    async def main() -> None:
        await ahead.open()
        await ahead.send(emission.executions)
        await ahead.close()

    story(main())
    assert ground.found() == {**NOTHING, "x": all_of(3)["x"]}


def test_rows_alone_make_a_checkpoint(ground: Ground) -> None:
    story(committed(ground.transaction(), ground.emission(3)._replace(executions=(), letters=())))
    assert ground.found() == {**all_of(3), "x": [], "l": []}


def test_a_broker_that_is_not_there_leaves_the_outcome_open(own_kafka: KafkaProcess) -> None:
    ground = Ground(own_kafka.bootstrap)
    ahead = ground.ahead()

    async def main() -> None:
        await ahead.open()
        own_kafka.pause()
        ahead.timeout_s = 0.5
        with pytest.raises(UnsureError):
            await ahead.send(ground.emission(3).executions)
        own_kafka.resume()
        ahead.timeout_s = ATTEMPT_S
        await ahead.open()
        await ahead.send(ground.emission(3).executions)
        await ahead.close()

    try:
        story(main())
    finally:
        own_kafka.resume()
    assert set(ground.read(ground.executions)) == {b"x3"}
