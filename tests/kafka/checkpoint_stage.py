"""The topics of one shard on a real broker, the senders of its checkpoints, and what readers find."""

import asyncio
import uuid
from collections.abc import Coroutine, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.core.records import records_of
from streams.core.special_rows import Position, put_position
from streams.kafka.ahead import Ahead
from streams.kafka.changelog_tail import Tail
from streams.kafka.checkpoint import Emission, Transaction
from streams.kafka.dead_letters import Letter
from streams.kafka.producing import Keyed, Letters, Outgoing
from streams.kafka.whole_topic import read_whole

ATTEMPT_S = 30.0
TS_MS = 1_760_000_000_000
KEYS = (b"s0", b"s1")


class Ground:
    """Topics of its own; executions have two partitions."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        name = uuid.uuid4().hex[:12]
        self.executions, self.letters = f"c-{name}-executions", f"c-{name}-letters"
        self.updates, self.buckets = f"c-{name}-updates", f"c-{name}-buckets"
        self.group = f"c-{name}"
        topics = [
            NewTopic(topic, 2 if topic == self.executions else 1, 1, config={"retention.ms": "-1"})
            for topic in (self.executions, self.letters, self.updates, self.buckets)
        ]
        admin = AdminClient({"bootstrap.servers": bootstrap})
        for made in admin.create_topics(topics).values():
            made.result(timeout=30)

    def producer(self, kind: type[AIOKafkaProducer] = AIOKafkaProducer, **options: Any) -> AIOKafkaProducer:
        """A producer as shards have it."""
        return kind(
            bootstrap_servers=self.bootstrap,
            acks="all",
            enable_idempotence=True,
            retry_backoff_ms=5,
            linger_ms=0,
            **options,
        )

    def consumer(self) -> AIOKafkaConsumer:
        """A consumer of what is committed."""
        return AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )

    def tail(self) -> Tail:
        """The end of the changelog."""
        return Tail(self.consumer, self.buckets, 0)

    def transaction(
        self, kind: type[AIOKafkaProducer] = AIOKafkaProducer, timeout_s: float = ATTEMPT_S, compression: str = "none"
    ) -> Transaction:
        """An owner of the shard: all have the same transactional id."""

        def make() -> AIOKafkaProducer:
            return self.producer(kind, transactional_id=self.group, transaction_timeout_ms=60_000)

        return Transaction(0, make, self.tail(), compression, timeout_s)

    def ahead(self) -> Ahead:
        """What sends executions first."""
        return Ahead(self.producer, "none", ATTEMPT_S)

    def rows(self, position: int, *more: tuple[bytes, bytes]) -> list[Outgoing]:
        """The rows of a checkpoint that comes to here."""
        row = put_position(Position(position, TS_MS, 0, {}))
        return [
            Outgoing(self.updates, 0, records_of([(b"AAPL", b"u%d" % position)], TS_MS)),
            Outgoing(self.buckets, 0, records_of([*more, (b"AAPL", b"b%d" % position), row], TS_MS)),
        ]

    def emission(self, position: int, executions: Sequence[bytes] = ()) -> Emission:
        """A checkpoint: an execution in each partition, a letter, rows."""
        values = executions or [b"x%d" % position]
        sent = [(key, value) for key in KEYS for value in values]
        letter = Letter(self.letters, b"k", b"l%d" % position, [("tickgate.offset", b"7")])
        return Emission(
            [Keyed(self.executions, 2, records_of(sent, TS_MS))],
            [Letters(self.letters, 0, [(letter, TS_MS)])],
            self.rows(position),
            position,
        )

    def read(self, topic: str) -> list[bytes | None]:
        """The values of the committed records, by partition and then in order; the position as its key."""
        records = sorted(read_whole(self.bootstrap, topic), key=lambda each: (each.partition, each.offset))
        return [each.key if each.key == b"\0position" else each.value for each in records]

    def settle(self) -> None:
        """Wait until what was committed shows: a broker answers before its partitions know. It fences whoever sends."""
        Producer({"bootstrap.servers": self.bootstrap, "transactional.id": self.group}).init_transactions(30)

    def found(self, *, settled: bool = True) -> dict[str, list[bytes | None]]:
        """The same of every topic."""
        if settled:
            self.settle()
        topics = {"x": self.executions, "l": self.letters, "u": self.updates, "b": self.buckets}
        return {name: self.read(topic) for name, topic in topics.items()}

    def stranger_writes(self, topic: str, values: Sequence[bytes]) -> None:
        """Records that are in no transaction."""
        producer = Producer({"bootstrap.servers": self.bootstrap})
        for value in values:
            producer.produce(topic, value, key=b"stranger", partition=0)
        assert producer.flush(30) == 0


NOTHING: dict[str, list[bytes | None]] = {"x": [], "l": [], "u": [], "b": []}


def all_of(*positions: int) -> dict[str, list[bytes | None]]:
    """What readers find where these checkpoints have happened, each once."""
    return {
        "x": [b"x%d" % position for _ in (0, 1) for position in positions],
        "l": [b"l%d" % position for position in positions],
        "u": [b"u%d" % position for position in positions],
        "b": [each for position in positions for each in (b"b%d" % position, b"\0position")],
    }


def story(*steps: Coroutine[Any, Any, Any]) -> None:
    async def main() -> None:
        for step in steps:
            await step

    asyncio.run(main())


async def committed(transaction: Transaction, *emissions: Emission) -> None:
    """Open, commit, and let go."""
    await transaction.open()
    for emission in emissions:
        await transaction.commit(emission)
    await transaction.close()
