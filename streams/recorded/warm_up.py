"""The state of all shards at the start of a range of ticks, out of the changelogs.

Each shard begins with its last checkpoint at or before the range's first tick, and goes through the ticks in between.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.core.avro import BadBytesError
from streams.core.latest import BadRecordError
from streams.core.limits import FOREVER, NEVER
from streams.errors import InputError, in_words
from streams.kafka.broker_trouble import UNREACHABLE
from streams.kafka.clients import make_consumer
from streams.kafka.fetch import Bounds, RawRun
from streams.kafka.raw_fetch import BadBatchError
from streams.kafka.rows_reader import Log, bounds_of, complete
from streams.kafka.topic_spans import Span
from streams.recorded.rows_then import RowsThen
from streams.settings import Settings
from streams.topic_names import CLOCK, TopicNames

LAST_BUCKET: Final = "last_bucket"
LAST_UPDATE: Final = "last_update"
OTHERWISE: Final = "lengthen min.compaction.lag.ms of the changelogs, and warm up by --warm-up-until meanwhile"

MakeConsumer = Callable[[], AIOKafkaConsumer]


class _Folding:
    """Hands the runs of one changelog of one shard on, as long as they matter."""

    def __init__(self, rows: RowsThen, take: Callable[[RawRun], None]) -> None:
        self.rows, self.earliest = rows, 0
        self._take, self._position = take, 0

    def is_whole(self, _table: str, _partition: int, bounds: Bounds) -> bool:
        """Whether nothing more of it matters."""
        self.earliest = bounds.earliest
        return self.rows.is_over or self._position >= bounds.end or bounds.earliest == bounds.end

    def goes_on_at(self, _table: str, _partition: int, bounds: Bounds) -> int:
        """It is read from its start."""
        return bounds.earliest

    def take(self, _table: str, run: RawRun) -> None:
        """Take a run."""
        if not self.rows.is_over and len(run.columns):
            self._take(run)
        self._position = run.position


def rows_at(settings: Settings, spans: Mapping[int, Span], from_ms: int | None) -> dict[int, RowsThen]:
    """What each shard had at the first tick of its span, and at a time; raises `InputError` where that is gone."""
    topics, reader = settings.topics, partial(make_consumer, settings)
    until_ms = FOREVER if from_ms is None else from_ms
    found = {partition: RowsThen(span.first, until_ms) for partition, span in spans.items()}
    try:
        asyncio.run(_read(reader, topics, found))
        earliest = asyncio.run(_earliest(reader, topics.ticks, found))
    except BadBatchError as error:
        raise InputError("the changelogs", in_words(error), "mend the broker's log") from error
    except (BadBytesError, BadRecordError) as error:
        raise InputError("the changelogs", str(error), "warm up by --warm-up-until, from ticks alone") from error
    except (KafkaError, TimeoutError) as error:
        raise InputError("the changelogs", f"cannot be read ({in_words(error)})", UNREACHABLE) from error
    for partition, rows in found.items():
        if rows.tick > goes_on_at(rows) and earliest[partition] > goes_on_at(rows):
            problem = (
                f"ticks from {goes_on_at(rows)} on are needed, and what came before {earliest[partition]} is deleted"
            )
            remedy = (
                "lengthen retention.ms; begin with a later time, behind a checkpoint that came to a tick that is there"
            )
            raise InputError(f"topic {topics.ticks}, partition {partition}", problem, remedy)
    return found


def goes_on_at(rows: RowsThen) -> int:
    """The first tick that is not in the state."""
    return rows.position.next_offset if rows.position is not None else 0


def newest_ms(rows: RowsThen) -> int:
    """The newest time of the ticks before, as far as it is known: by it late ticks come in their place."""
    position = rows.position
    moved_by_ticks = position is not None and not position.of(CLOCK)
    return position.stream_ms if position is not None and moved_by_ticks else NEVER


async def _read(reader: MakeConsumer, topics: TopicNames, found: Mapping[int, RowsThen]) -> None:
    """Both logs of every shard, that with the positions first."""
    topic = topics.changelog(LAST_BUCKET)
    folding = {partition: _Folding(rows, rows.take) for partition, rows in found.items()}
    await complete(reader, _logs(LAST_BUCKET, topic, folding))
    for partition, rows in found.items():
        rows.ended()
        _refuse_eaten(f"topic {topic}, partition {partition}", rows, folding[partition].earliest)
    updates = {partition: _Folding(rows, rows.take_updates) for partition, rows in found.items() if rows.position}
    await complete(reader, _logs(LAST_UPDATE, topics.changelog(LAST_UPDATE), updates))


def _logs(table: str, topic: str, folding: Mapping[int, _Folding]) -> list[Log]:
    return [Log(table, topic, partition, each) for partition, each in folding.items()]


def _refuse_eaten(place: str, rows: RowsThen, earliest: int) -> None:
    """Raise where rows are gone that stood at the tick."""
    if earliest:
        raise InputError(place, f"it begins with offset {earliest}: rows before are deleted", OTHERWISE)
    eaten = rows.eaten()
    if eaten is not None:
        problem = f"for tick {rows.tick} {eaten.problem}"
        later = f"begin with tick {eaten.first_offset} or a later one; or " if eaten.first_offset is not None else ""
        raise InputError(place, problem, f"{later}{OTHERWISE}")


async def _earliest(reader: MakeConsumer, topic: str, partitions: Iterable[int]) -> dict[int, int]:
    """The first tick of each partition that is still there."""
    consumer = reader()
    await consumer.start()
    try:
        places = [TopicPartition(topic, partition) for partition in partitions]
        bounds = await bounds_of(consumer, places)
    finally:
        await consumer.stop()
    return {place.partition: each.earliest for place, each in bounds.items()}
