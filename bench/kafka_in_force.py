"""When changes of strategies came into force, seen from outside: the journal says which each checkpoint took.

A change is in force in a shard with the first record of that shard's journal that is past its offset, and counts from
when that record is read (read_committed): the executions decided on it are to be read by then too. What is told is the
last of the shards.
"""

import time
from collections import defaultdict
from collections.abc import Iterable
from multiprocessing.connection import Connection
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.kafka_churn import SentChange
from bench.kafka_flow import at_the_end, is_end
from streams.kafka.codec import Decoder
from streams.kafka.registry import FileSchemas
from streams.topic_names import STRATEGY_CHANGES

SILENCE_S: Final = 2.0
"""After the last change: so long without a record, and no more will come."""


class Taken(NamedTuple):
    """A record of the journal that says how far a shard has taken one partition of the changes."""

    shard: int
    partition: int
    next_offset: int
    read_s: float


def read_journal(bootstrap: str, topic: str, line: Connection) -> None:
    """The reader's process: say that it stands at the end, then note what each record says; hand it over when told."""
    consumer, values = at_the_end(bootstrap, topic), list[tuple[float, bytes]]()
    line.send("ready")
    last_s = time.monotonic()
    while not line.poll() or time.monotonic() - last_s < SILENCE_S:
        message = consumer.poll(0.1)
        if message is not None and not is_end(message):
            last_s = time.monotonic()
            values.append((last_s, message.value() or b""))
    consumer.close()
    line.send(taken_of(values))


def taken_of(values: Iterable[tuple[float, bytes]]) -> list[Taken]:
    """What the records say of changes."""
    decoder, found = Decoder(FileSchemas(), "journal"), []
    for read_s, value in values:
        entry = decoder.decode(value, ())
        found += [
            Taken(entry["shard"], each["partition"], each["next_offset"], read_s)
            for each in entry["inputs"]
            if each["topic"] == STRATEGY_CHANGES
        ]
    return found


def in_force_ms(sent: Iterable[SentChange], taken: Iterable[Taken], shards: int) -> npt.NDArray[np.float64]:
    """How long each change took to be in force in all shards; `inf` where it never was in one."""
    told: dict[tuple[int, int], list[Taken]] = defaultdict(list)
    for each in taken:
        told[each.shard, each.partition].append(each)
    found = []
    for change in sent:
        seen_s = [first_past(told[shard, change.partition], change.offset) for shard in range(shards)]
        found.append((max(seen_s) - change.sent_s) * 1e3)
    return np.array(found)


def first_past(taken: list[Taken], offset: int) -> float:
    """When the first record was read that is past an offset."""
    return next((each.read_s for each in taken if each.next_offset > offset), np.inf)
