"""The end of a changelog on a real Kafka: the last position that is committed, whatever stands around it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from streams.core.records import EncodedRecords, records_of
from streams.core.special_rows import POSITION_KEY, Position, put_position
from streams.kafka.checkpoint import Emission
from streams.kafka.producing import Outgoing
from tests.kafka.checkpoint_stage import Ground
from tests.kafka.shared_broker import SharedBroker


class Died(Exception):  # noqa: N818 - it is no error
    """A worker has been killed here."""


@pytest.fixture
def ground(real_broker: SharedBroker) -> Ground:
    return Ground(real_broker.bootstrap)


def position_row(position: int) -> tuple[bytes, bytes]:
    return put_position(Position(position, 0, 0, {}))


async def written(ground: Ground, *rows: EncodedRecords, abort: bool = False) -> None:
    """Rows in a transaction each."""
    transaction = ground.transaction()

    def die(step: str, partition: int, position: int) -> None:
        if abort and step == "before_commit":
            raise Died

    transaction.observe = die
    for each in rows:
        await transaction.open()
        emission = Emission([], [], [Outgoing(ground.buckets, 0, each)], 0)
        if abort:
            with pytest.raises(Died):
                await transaction.commit(emission)
        else:
            await transaction.commit(emission)
    await transaction.open()  # what is open is aborted, and what is committed shows
    await transaction.close()


def position_behind(ground: Ground, *offsets: int) -> list[tuple[int | None, int]]:
    async def main() -> list[tuple[int | None, int]]:
        found = [await ground.tail().position_behind(offset) for offset in offsets]
        return [(position and position.next_offset, end) for position, end in found]

    return asyncio.run(main())


def rows(*positions: int, before: Sequence[bytes] = (b"AAPL",)) -> EncodedRecords:
    return records_of([*((key, b"v") for key in before), *map(position_row, positions)], 0)


def test_an_empty_changelog_has_no_position(ground: Ground) -> None:
    assert position_behind(ground, 0) == [(None, 0)]


def test_the_last_position_is_found_and_nothing_behind_it(ground: Ground) -> None:
    asyncio.run(written(ground, rows(3), rows(5), rows(9)))
    # Each is a row, the position, and a marker.
    assert position_behind(ground, 0, 2, 5, 8, 9) == [(9, 9), (9, 9), (9, 9), (None, 9), (None, 9)]


def test_what_was_aborted_does_not_count(ground: Ground) -> None:
    asyncio.run(written(ground, rows(3)))
    asyncio.run(written(ground, rows(5), rows(7), abort=True))
    assert position_behind(ground, 0, 3) == [(3, 9), (None, 9)]


def test_rows_without_a_position_and_a_position_without_a_value_tell_nothing(ground: Ground) -> None:
    asyncio.run(written(ground, rows(3), rows()))
    ground.stranger_writes(ground.buckets, [b"v"])
    assert position_behind(ground, 0, 2) == [(3, 6), (None, 6)]
    null = np.array([-1])
    deleted = replace(records_of([(POSITION_KEY, b"")], 0), value_start=null, value_end=null)
    asyncio.run(written(ground, deleted))
    assert position_behind(ground, 0) == [(3, 8)]


def test_it_reads_on_over_more_than_one_fetch_brings(ground: Ground) -> None:
    asyncio.run(written(ground, rows(3, before=[b"%05d" % number for number in range(3000)]), rows(5)))
    assert position_behind(ground, 0, 3000, 3002) == [(5, 3005), (5, 3005), (5, 3005)]
