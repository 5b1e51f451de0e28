"""Rows read to the broker's own end on a real Kafka, whatever of them was handed over before."""

import asyncio
from collections.abc import Sequence

import pytest
from aiokafka import TopicPartition

from streams.core.latest import Latest
from streams.kafka import rows_reader
from streams.kafka.fetch import Bounds, RawRun
from streams.kafka.raw_fetch import RawFetch
from streams.kafka.rows_reader import Log, bounds_of, complete
from streams.kafka.shard_rows import ShardRows
from tests.kafka.checkpoint_stage import Ground
from tests.kafka.shared_broker import SharedBroker

POSITIONS = (3, 5, 9)
AT_THE_END = {"last_update": {b"AAPL": b"u9"}, "last_bucket": {b"AAPL": b"b9"}}


class Died(Exception):  # noqa: N818 - it is no error
    """A worker has been killed here."""


@pytest.fixture
def ground(real_broker: SharedBroker) -> Ground:
    """Three checkpoints, one that was aborted behind the second, and one at the end."""
    ground = Ground(real_broker.bootstrap)

    def die(step: str, partition: int, position: int) -> None:
        if step == "before_commit":
            raise Died

    async def main() -> None:
        transaction = ground.transaction()
        for position in (3, 5, -7, 9, -11):
            await transaction.open()
            if position > 0:
                await transaction.commit(ground.emission(position))
                continue
            observe, transaction.observe = transaction.observe, die
            with pytest.raises(Died):
                await transaction.commit(ground.emission(-position))
            transaction.observe = observe
        await transaction.open()
        await transaction.close()

    asyncio.run(main())
    return ground


def logs_of(ground: Ground, rows: ShardRows) -> list[Log]:
    return [Log("last_update", ground.updates, 0, rows), Log("last_bucket", ground.buckets, 0, rows)]


def values(rows: ShardRows) -> dict[str, dict[bytes, bytes]]:
    """What is there, the position left out."""
    found = {}
    for table in ("last_update", "last_bucket"):
        latest: Latest = getattr(rows.recovery, table)
        starts, ends, _ = latest.spans()
        spans = zip(latest.keys(), starts.tolist(), ends.tolist(), strict=True)
        found[table] = {key: latest.arena[start:end].tobytes() for key, start, end in spans if key != b"\0position"}
    return found


async def runs_of(ground: Ground, topic: str) -> list[RawRun]:
    """A topic's runs, as Faust would hand them over."""
    consumer, place = ground.consumer(), TopicPartition(topic, 0)
    fetch, runs = RawFetch(consumer), list[RawRun]()
    await consumer.start()
    consumer.assign([place])
    consumer.seek(place, 0)
    end = (await bounds_of(consumer, [place]))[place].end
    while not runs or runs[-1].position < end:
        runs += (await fetch.getmany([place], timeout_ms=200)).get(place, [])
    await consumer.stop()
    return runs


def read_of(ground: Ground, rows: ShardRows) -> int:
    return asyncio.run(complete(ground.consumer, logs_of(ground, rows)))


def ends(ground: Ground) -> dict[str, Bounds]:
    async def main() -> dict[str, Bounds]:
        consumer = ground.consumer()
        await consumer.start()
        try:
            places = [TopicPartition(topic, 0) for topic in (ground.updates, ground.buckets)]
            return {place.topic: bounds for place, bounds in (await bounds_of(consumer, places)).items()}
        finally:
            await consumer.stop()

    return asyncio.run(main())


def test_a_log_of_which_nothing_was_handed_over_is_read_whole_but_for_what_was_aborted(ground: Ground) -> None:
    rows = ShardRows()
    assert read_of(ground, rows) == 3 * 3
    assert values(rows) == AT_THE_END
    for log, bounds in zip(
        logs_of(ground, rows), (ends(ground)[ground.updates], ends(ground)[ground.buckets]), strict=True
    ):
        assert log.is_whole(bounds)
        assert rows.position(log.table) == bounds.end


def test_a_log_that_is_whole_is_not_read_again(ground: Ground) -> None:
    rows = ShardRows()
    for table, topic in (("last_update", ground.updates), ("last_bucket", ground.buckets)):
        for run in asyncio.run(runs_of(ground, topic)):
            rows.take(table, run)
    assert read_of(ground, rows) == 0
    assert values(rows) == AT_THE_END


def cut(runs: Sequence[RawRun], which: slice) -> list[RawRun]:
    """Some of the runs, made of them record by record, so that there is something to cut."""
    parts = []
    for run in runs:
        at = run.start
        for i, offset in enumerate(run.columns.offset.tolist()):
            columns = run.columns
            one = type(columns)(
                columns.buffer,
                *(getattr(columns, name)[i : i + 1] for name in list(columns.__dataclass_fields__)[1:]),
            )
            parts.append(run._replace(start=at, position=offset + 1, columns=one))
            at = offset + 1
    return parts[which]


@pytest.mark.parametrize("which", [slice(0, 3), slice(0, 5), slice(2, 4), slice(3, 6), slice(4, 5), slice(0, 0)])
def test_a_log_that_was_handed_over_only_partly_is_completed(ground: Ground, which: slice) -> None:
    rows = ShardRows()
    handed_over = cut(asyncio.run(runs_of(ground, ground.buckets)), which)
    for run in handed_over:
        rows.take("last_bucket", run)
    begins = not handed_over or handed_over[0].start == 0
    left = 6 - len(handed_over) if begins else 6
    assert read_of(ground, rows) == 3 + left
    assert values(rows) == AT_THE_END


def test_rows_that_a_standby_has_are_gone_on_with(ground: Ground) -> None:
    rows = ShardRows()
    read_of(ground, rows)

    async def main() -> None:
        transaction = ground.transaction()
        await transaction.open()
        await transaction.commit(ground.emission(13))
        await transaction.open()
        await transaction.close()

    asyncio.run(main())
    assert read_of(ground, rows) == 3
    assert values(rows) == {"last_update": {b"AAPL": b"u13"}, "last_bucket": {b"AAPL": b"b13"}}


def test_empty_logs_are_whole(real_broker: SharedBroker) -> None:
    ground, rows = Ground(real_broker.bootstrap), ShardRows()
    assert read_of(ground, rows) == 0
    assert values(rows) == {"last_update": {}, "last_bucket": {}}


def test_without_logs_nobody_is_asked() -> None:
    assert asyncio.run(complete(lambda: pytest.fail("a consumer was made"), [])) == 0


def test_a_log_that_never_comes_to_its_end_is_an_error_and_not_a_wait_for_ever(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_reader, "SILENCE_S", 2.0)
    monkeypatch.setattr(ShardRows, "is_whole", lambda *_: False)
    with pytest.raises(TimeoutError):
        read_of(ground, ShardRows())
