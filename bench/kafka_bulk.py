"""Many ticks onto a topic in little time: encoded as columns, and sent as whole batches, as executions are.

They are the bytes that the workload's own encoder makes, but for the price, which decides nothing.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import numpy as np

from bench import kafka_wide, reference, workload
from bench.kafka_ground import PARTITIONS, Place
from streams.core.records import EncodedRecords
from streams.kafka.clients import make_announcer
from streams.kafka.producing import Keyed
from streams.settings import Settings

AT_ONCE: Final = 200_000
NAME_AT: Final = 6
"""Behind the framing and the length of the name."""

TS_BYTES: Final = 6
"""Of a time between 1971 and 2039."""


def ticks_as_records(
    who: reference.Int32s, when: reference.Int64s, names: Sequence[str] = kafka_wide.NAMES
) -> EncodedRecords:
    """Ticks of a market whose names are of one length as records: these are so, too."""
    sample = workload.encode(names[0], int(when[0]), 100.0)
    rows = np.tile(np.frombuffer(sample, np.uint8), (len(who), 1))
    ts_at = NAME_AT + len(names[0])
    rows[:, NAME_AT:ts_at] = np.array([list(name.encode()) for name in names], np.uint8)[who]
    bits = when << 1
    for k in range(TS_BYTES):
        rows[:, ts_at + k] = bits >> 7 * k & 127 | (128 if k < TS_BYTES - 1 else 0)
    starts = np.arange(len(who), dtype=np.int64) * len(sample)
    name = starts + NAME_AT
    return EncodedRecords(rows.reshape(-1), name, name + len(names[0]), starts, starts + len(sample), when)


def send_in_bulk(
    place: Place, who: reference.Int32s, when: reference.Int64s, names: Sequence[str] = kafka_wide.NAMES
) -> None:
    """Send them, and wait until all are there."""

    async def send() -> None:
        announcer = make_announcer(Settings(broker=place.ground.bootstrap))
        for at in range(0, len(who), AT_ONCE):
            records = ticks_as_records(who[at : at + AT_ONCE], when[at : at + AT_ONCE], names)
            await announcer.send([Keyed(place.topics.ticks, PARTITIONS, records)], [])
        await announcer.close()

    asyncio.run(send())
