"""What stands on `strategy-changes`, and which of it the database has brought; and how more is brought there."""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, ClassVar, Final

from streams.core.events import Strategy, Tombstone
from streams.core.records import records_of
from streams.database.reconciling import Known
from streams.kafka.book import Book, Place
from streams.kafka.clients import make_consumer, make_fenced_changes
from streams.kafka.codec import Decoder, Encoder
from streams.kafka.fetch import RawRun
from streams.kafka.look_up import needed_sizes
from streams.kafka.packed_strategies import PackedStrategies
from streams.kafka.producing import Keyed
from streams.kafka.schema_source import open_schemas, registry_told
from streams.kafka.security import for_confluent
from streams.kafka.strategy_fold import Said, put, said_in
from streams.kafka.strategy_topic import RECORD, records_for
from streams.kafka.topic_reader import TopicReader
from streams.kafka.whole_topic import Record
from streams.settings import Settings
from streams.topic_names import STRATEGY_CHANGES

SOURCE: Final = "database"
"""Who made the change, as `schemas/strategy_change.avsc` calls it."""

ANSWER_TIMEOUT_S: Final = 15.0


class SyncedBook(Book):
    """What stands, and what of it rows have brought."""

    name: ClassVar[str] = STRATEGY_CHANGES

    def __init__(self, topic: str, partitions: int, decoder: Decoder) -> None:
        super().__init__(topic, partitions, decoder)
        self.strategies = PackedStrategies()
        self._sent = PackedStrategies()
        self._versions: dict[str, int] = {}

    def known(self, strategy_id: str) -> Known:
        """What is to be known of one strategy."""
        stands, sent = self.strategies.get(strategy_id), self._sent.get(strategy_id)
        return Known(stands, sent, self._versions.get(strategy_id, 0))

    def look(self, record: Record) -> Said:
        """Decode a record."""
        return said_in(record, self.decoder)

    def fold(self, place: Place, record: Record, found: Said) -> None:
        """Let one record count. What does not is for the workers to tell of."""
        del place, record
        change = put(self.strategies, found.read)
        if isinstance(change, Tombstone):
            self._sent.pop(change.strategy_id, None)
        elif isinstance(change, Strategy):
            self._versions[change.strategy_id] = change.version
            if found.source == SOURCE:
                self._sent[change.strategy_id] = change
        if isinstance(change, Strategy | Tombstone):
            self.told(change.strategy_id)


class SyncedTopic:
    """The topic of one environment. Made in a thread: it looks around first, and raises `InputError`."""

    def __init__(self, settings: Settings) -> None:
        topic = settings.topics.strategy_changes
        sizes = needed_sizes(settings.broker, [topic], for_confluent(settings))
        with registry_told():
            schemas = open_schemas(settings.schema_registry_url, time.monotonic, prefix=settings.topic_prefix)
            self.encoder = Encoder(schemas, [RECORD])
        self.book = SyncedBook(topic, sizes[topic], Decoder(schemas, RECORD))
        self._sender = make_fenced_changes(settings, SOURCE)
        self._make_reader = partial(make_consumer, settings)
        self._reader: TopicReader | None = None

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """What must run meanwhile. Called in the event loop, once."""
        self._reader = TopicReader(self._make_reader, {self.book.topic: self.book.partitions}, self._take, self._begin)
        return [self._reader.work(), self.book.work()]

    def _take(self, run: RawRun) -> None:
        self.book.take(STRATEGY_CHANGES, run)

    def _begin(self, bounds: Any) -> None:  # noqa: ANN401 - where the partitions begin and end
        for place, each in bounds.items():
            self.book.goes_on_at(STRATEGY_CHANGES, place.partition, each)

    async def read_up(self) -> None:
        """Read up to where the topic ends now; raises what Kafka's troubles raise."""
        assert self._reader is not None, "work() comes first"
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await self._reader.up_to_now()
            await self.book.caught_up()

    def known(self, strategy_id: str) -> Known:
        """What it says of a strategy."""
        return self.book.known(strategy_id)

    @property
    def is_ours(self) -> bool:
        """Whether nobody else may send for the database, as far as is known."""
        return self._sender.is_open

    async def make_ours(self) -> None:
        """Let nobody else send for the database from now on; raises `UnsureError`."""
        await self._sender.open_anew()

    def records(self, change: Strategy, ts_ms: int, reason: str) -> list[tuple[bytes, bytes | None]]:
        """A version as records; raises `InputError` where it is too large."""
        return records_for(self.encoder, change, ts_ms, source=SOURCE, reason=reason)

    async def send(self, records: Sequence[tuple[bytes, bytes | None]], ts_ms: int) -> None:
        """Send all or nothing, and see it stand; raises what `FencedChanges` raises, and `TimeoutError`."""
        keyed = Keyed(self.book.topic, self.book.partitions, records_of(records, ts_ms))
        try:
            ends = await self._sender.commit([keyed])
            # What is committed may be read a moment later. Who went on before it is seen would send it once more.
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                for (_, partition), end in ends.items():
                    await self.book.reached(Place(partition, end - 1))
        except BaseException:
            await self._sender.close()  # to open it anew waits until this is settled
            raise

    async def close(self) -> None:
        """Send no more."""
        await self._sender.close()
