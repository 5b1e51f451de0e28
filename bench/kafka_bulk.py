"""Many ticks onto a topic in little time: encoded as columns, and sent as whole batches, as executions are.

They are the bytes that the workload's own encoder makes, but for the price, which decides nothing.
"""

import asyncio
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

NAME_BYTES: Final = len(kafka_wide.NAMES[0])
TS_AT: Final = NAME_AT + NAME_BYTES
TS_BYTES: Final = 6
"""Of a time between 1971 and 2039."""

NAME_COLUMN: Final = np.array([list(name.encode()) for name in kafka_wide.NAMES], np.uint8)


def ticks_as_records(who: reference.Int32s, when: reference.Int64s) -> EncodedRecords:
    """Ticks of the wide market as records: all are of one length."""
    sample = workload.encode(kafka_wide.NAMES[0], int(when[0]), 100.0)
    rows = np.tile(np.frombuffer(sample, np.uint8), (len(who), 1))
    rows[:, NAME_AT:TS_AT] = NAME_COLUMN[who]
    bits = when << 1
    for k in range(TS_BYTES):
        rows[:, TS_AT + k] = bits >> 7 * k & 127 | (128 if k < TS_BYTES - 1 else 0)
    starts = np.arange(len(who), dtype=np.int64) * len(sample)
    name = starts + NAME_AT
    return EncodedRecords(rows.reshape(-1), name, name + NAME_BYTES, starts, starts + len(sample), when)


def send_in_bulk(place: Place, who: reference.Int32s, when: reference.Int64s) -> None:
    """Send them, and wait until all are there."""

    async def send() -> None:
        announcer = make_announcer(Settings(broker=place.ground.bootstrap))
        for at in range(0, len(who), AT_ONCE):
            records = ticks_as_records(who[at : at + AT_ONCE], when[at : at + AT_ONCE])
            await announcer.send([Keyed(place.topics.ticks, PARTITIONS, records)], [])
        await announcer.close()

    asyncio.run(send())
