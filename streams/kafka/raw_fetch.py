"""Whole record batches out of aiokafka, undecoded: its fetcher is given our reader in place of its own.

aiokafka makes an object for every record, which costs far more than all we do with a record. Its fetcher knows two
classes by name: one that holds the bytes of a response, one that makes records of them. A consumer that is handed to
`RawFetch` before it starts gets a fetcher in which these two names mean ours. The modules of aiokafka stay as they
are, and so do all other consumers. Positions, back-pressure, offset resets and errors remain aiokafka's own.
`packed_fetch.py` fits consumers the same way, and unpacks nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from importlib import import_module
from inspect import signature
from types import FunctionType, MethodType
from typing import Any, Final, Generic, NamedTuple, Self, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException, KafkaError

from streams.kafka.asked_seldom import ask_seldom
from streams.kafka.batch_kernel import PREFIX_BYTES
from streams.kafka.fetch import RawRun
from streams.kafka.record_batch import BadBatch, Limits, Response

Taken = TypeVar("Taken")


class Touched(NamedTuple):
    """Something inside aiokafka that this file leans on: the names that the code of a function looks up."""

    function: str
    names: tuple[str, ...]


TOUCHED: Final = (
    Touched("aiokafka.consumer.consumer:AIOKafkaConsumer.start", ("Fetcher", "_fetcher")),
    Touched(
        "aiokafka.consumer.fetcher:Fetcher._proc_fetch_request",
        ("MemoryRecords", "has_next", "size_in_bytes", "PartitionRecords", "FetchResult", "_records"),
    ),
    Touched("aiokafka.consumer.fetcher:FetchResult.check_assignment", ("_partition_records", "next_fetch_offset")),
    Touched("aiokafka.consumer.fetcher:FetchResult._update_position", ("_partition_records", "next_fetch_offset")),
    Touched("aiokafka.consumer.fetcher:FetchResult.getall", ("_partition_records", "_update_position")),
    Touched("aiokafka.consumer.fetcher:Fetcher.fetched_records", ("getall", "has_more", "_records")),
)

PARTITION_RECORDS_ARE_MADE_FROM: Final = (
    "tp",
    "records",
    "aborted_transactions",
    "fetch_offset",
    "key_deserializer",
    "value_deserializer",
    "check_crcs",
    "isolation_level",
)
"""In this order, by position."""


def moved() -> list[str]:
    """Name what an upgrade of aiokafka has moved; nothing, if this file still fits."""
    found = []
    for function, names in TOUCHED:
        module, _, path = function.partition(":")
        there: Any = import_module(module)
        for name in path.split("."):
            there = getattr(there, name, None)
        looked_up = there.__code__.co_names if isinstance(there, FunctionType) else ()
        found += [f"{function} no longer uses {name}" for name in names if name not in looked_up]
    takes = tuple(signature(fetcher.PartitionRecords).parameters)
    if takes != PARTITION_RECORDS_ARE_MADE_FROM:
        found.append(f"aiokafka.consumer.fetcher:PartitionRecords takes {', '.join(takes)}")
    return found


class MovedError(Exception):
    """The aiokafka that is installed is not the one this file was written for."""

    def __init__(self, what: list[str]) -> None:
        super().__init__(f"raw fetch does not fit this aiokafka: {'; '.join(what)}. Remedy: use plain fetch")


class BadBatchError(CorruptRecordException):  # type: ignore[misc]
    """The next batch of a partition cannot be read; asking again fetches it again."""


class RawRecords:
    """Holds the bytes of one partition's response, in place of aiokafka's MemoryRecords."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def has_next(self) -> bool:
        """Tell whether a whole batch is there. One that lies about its length is, so that it is found out."""
        length = int.from_bytes(self.data[8:PREFIX_BYTES], "big", signed=True)
        return len(self.data) >= PREFIX_BYTES and length <= len(self.data) - PREFIX_BYTES

    def size_in_bytes(self) -> int:
        """How many bytes came; some without a whole batch means that the batch is larger than a fetch may be."""
        return len(self.data)


class PartitionRecords(ABC, Generic[Taken]):
    """What stands in place of aiokafka's class of that name, and what it takes for records."""

    def __init__(  # noqa: PLR0913, PLR0917 - as aiokafka makes its own
        self,
        tp: TopicPartition,
        records: RawRecords,
        aborted_transactions: Sequence[tuple[int, int]] | None,
        fetch_offset: int,
        key_deserializer: object,  # noqa: ARG002 - bytes stay bytes
        value_deserializer: object,  # noqa: ARG002 - as above
        check_crcs: bool,  # noqa: FBT001
        isolation_level: int,
    ) -> None:
        self.next_fetch_offset = fetch_offset
        aborted = (aborted_transactions or ()) if isolation_level == fetcher.READ_COMMITTED else ()
        self._taken = self._read(tp, records.data, aborted, int(check_crcs))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Taken:
        return next(self._taken)

    @abstractmethod
    def _read(self, tp: TopicPartition, data: bytes, aborted: Sequence[tuple[int, int]], check: int) -> Iterator[Taken]:
        """What is taken for records, in order; moves `next_fetch_offset` past each before it is taken."""


class RawPartitionRecords(PartitionRecords[RawRun]):
    """Makes runs of the bytes."""

    def __init__(self, limits: Limits, *given: Any, **named: Any) -> None:  # noqa: ANN401 - aiokafka's
        self._limits = limits
        super().__init__(*given, **named)

    def _read(
        self, tp: TopicPartition, data: bytes, aborted: Sequence[tuple[int, int]], check: int
    ) -> Iterator[RawRun]:
        first = self.next_fetch_offset
        response = Response(data, first, aborted, check_sums=bool(check), limits=self._limits)
        for run in runs_of(tp, response):
            self.next_fetch_offset = run.position
            yield run
        # Behind good runs nothing is raised: those would be lost with it. The bad batch is fetched again, and first.
        if response.bad is not None and self.next_fetch_offset == first:
            raise bad_batch(tp, response.bad)


def runs_of(tp: TopicPartition, response: Response) -> Iterator[RawRun]:
    """The runs of a response, up to its end or a batch that cannot be read."""
    start = response.position
    while (run := response.next_run()) is not None:
        yield RawRun(tp.topic, tp.partition, start, run.position, run.columns)
        start = run.position


def bad_batch(tp: TopicPartition, bad: BadBatch) -> BadBatchError:
    """Say which batch cannot be read, and why."""
    return BadBatchError(f"{tp.topic}[{tp.partition}] offset {bad.base_offset}: {bad.reason}")


def with_names(function: Callable[..., Any], **names: object) -> FunctionType:
    """Copy a function so that these global names mean something else in it, and nowhere else."""
    assert isinstance(function, FunctionType)
    own = FunctionType(
        function.__code__,
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    own.__kwdefaults__ = function.__kwdefaults__
    return own


def fit(
    consumer: AIOKafkaConsumer,
    make_records: Callable[..., object],
    adapt: Callable[[fetcher.Fetcher], None] = lambda _: None,
    **options: object,
) -> None:
    """Have a consumer that has not been started make these of what comes, in place of aiokafka's records.

    `adapt` is shown the fetcher once it is made, and `options` are for it. Nothing is changed where aiokafka has moved
    what we lean on: then this raises `MovedError`.
    """
    what = moved()
    if what:
        raise MovedError(what)
    request = with_names(
        fetcher.Fetcher._proc_fetch_request,  # noqa: SLF001 - see TOUCHED
        MemoryRecords=RawRecords,
        PartitionRecords=make_records,
    )

    def make_fetcher(*arguments: object, **named: object) -> fetcher.Fetcher:
        made = fetcher.Fetcher(*arguments, **named, **options)
        made._proc_fetch_request = MethodType(request, made)  # noqa: SLF001 - see TOUCHED
        adapt(made)
        return made

    consumer.start = MethodType(with_names(AIOKafkaConsumer.start, Fetcher=make_fetcher), consumer)


class RawFetch:
    """Takes runs out of a consumer that has not been started yet, and hands over nothing else from then on."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        limits: Limits | None = None,
        is_seldom: Callable[[TopicPartition], bool] | None = None,
    ) -> None:
        """Fit the consumer with our reader. Nothing is changed where aiokafka has moved what we lean on.

        `is_seldom` tells the partitions that are asked for now and then only.
        """
        self._consumer = consumer
        self._failed: tuple[TopicPartition, KafkaError] | None = None
        self._made: fetcher.Fetcher | None = None

        def adapt(made: fetcher.Fetcher) -> None:
            if is_seldom is not None:
                ask_seldom(made, is_seldom)
            self._made = made

        fit(consumer, partial(RawPartitionRecords, limits or Limits()), adapt)

    async def getmany(
        self, partitions: Collection[TopicPartition] | None = None, *, timeout_ms: int = 0
    ) -> dict[TopicPartition, list[RawRun]]:
        """What has come of these partitions, waiting so long for something to come. None means all, empty none.

        One run of each at most: the rest of a response stays packed until it is asked for. Each is taken by itself:
        where aiokafka takes several at once and the last one fails, it loses the others.
        """
        if partitions is not None and not partitions:
            return {}  # aiokafka takes an empty list for all
        self._raise_what_failed()
        consumer = self._consumer
        found: dict[TopicPartition, list[RawRun]] = await consumer.getmany(
            *(partitions or ()), timeout_ms=timeout_ms, max_records=1
        )
        others = (consumer.assignment() if partitions is None else set(partitions)) - set(found)
        for tp in self._with_records(others) if found else ():
            try:
                found |= await consumer.getmany(tp, timeout_ms=0, max_records=1)
            except KafkaError as error:
                self._failed = tp, error
                break
        return found

    def _with_records(self, partitions: Collection[TopicPartition]) -> Collection[TopicPartition]:
        """Those of which something has come: to ask aiokafka of each is a good part of what a round costs."""
        if self._made is None:
            return partitions
        return [tp for tp in partitions if tp in self._made._records]  # noqa: SLF001 - see TOUCHED

    def _raise_what_failed(self) -> None:
        """Raise what went wrong in the last round, when there were runs to hand over first."""
        failed, self._failed = self._failed, None
        if failed is not None and failed[0] in self._consumer.assignment():
            raise failed[1]
