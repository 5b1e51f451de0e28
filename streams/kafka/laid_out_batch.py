"""Batches that are laid out as a whole, and stand where aiokafka's builder of batches stands in `send_batch`.

aiokafka's own builder takes records one by one, each as Python objects. Here compiled code has laid the records out
already. The producer adds only who it is and the sequence, once, before the batch is first sent; a batch that is sent
again is the same bytes, and so the broker can tell that it knows them.
"""

import inspect
import struct
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from aiokafka.producer.message_accumulator import BatchBuilder, MessageAccumulator, MessageBatch

from streams.core.records import EncodedRecords, Section, section
from streams.kafka.batch_kernel import CHECKSUM_TABLE, HEADER_BYTES, PREFIX_BYTES, TRANSACTIONAL, checksum
from streams.kafka.compression import CODECS, packed
from streams.kafka.touched import no_longer_used

HEADER: Final = struct.Struct(">qiibIhiqqqhii")
CHECKSUM: Final = struct.Struct(">I")
PRODUCER: Final = struct.Struct(">qhi")
CHECKSUM_AT: Final = 17
CHECKED_FROM: Final = 21
PRODUCER_AT: Final = 43
MAGIC: Final = 2

NO_PRODUCER: Final = (-1, -1, 0)
"""Id, epoch and sequence of a producer that is not idempotent, as aiokafka has them."""

OWN_AFFAIRS: Final = ("_serialize",)
"""Of aiokafka's builder: what only the builder itself calls."""

TOUCHED_NAMES: Final = {
    MessageBatch.append: ("append",),
    MessageBatch.remaining_linger: ("closed",),
    MessageBatch.set_producer_state: ("_set_producer_state",),
    MessageBatch.get_data_buffer: ("_build",),
    MessageBatch.is_empty: ("record_count",),
    MessageAccumulator.flush_for_commit: ("close",),
    MessageAccumulator._pop_batch: ("retry_count", "set_producer_state"),  # noqa: SLF001 - that is the point
}
"""Inside aiokafka: who calls what of a builder, and that the sequence is set at the first attempt only."""


class LaidOutBatch:
    """One batch, ready but for what the producer adds. It is closed: nothing can be appended."""

    def __init__(self, records: Section, compression: str, *, transactional: bool) -> None:
        body, codec = packed(records.data, CODECS[compression])
        self._records = records.records
        self._is_built = False
        self._buffer = bytearray(HEADER_BYTES + len(body))
        self._buffer[HEADER_BYTES:] = body
        HEADER.pack_into(
            self._buffer,
            0,
            0,  # the offset; brokers set it
            len(self._buffer) - PREFIX_BYTES,
            -1,  # the leader's epoch; as above
            MAGIC,
            0,  # the checksum; `_build` sets it
            codec | (TRANSACTIONAL if transactional else 0),
            self._records - 1,
            records.base_ts_ms,
            records.max_ts_ms,
            *NO_PRODUCER,
            self._records,
        )

    def append(
        self,
        *,
        timestamp: int | None,  # noqa: ARG002 - as aiokafka calls it
        key: bytes | None,  # noqa: ARG002
        value: bytes | None,  # noqa: ARG002
        headers: Sequence[tuple[str, bytes | None]] = (),  # noqa: ARG002
    ) -> None:
        """Say that there is no room, to whoever sends a single record to the same partition."""
        return

    def close(self) -> None:
        """It is closed."""

    def closed(self) -> bool:
        """Whether it is closed: then it goes out without lingering."""
        return True

    def size(self) -> int:
        """Bytes, as they go out."""
        return len(self._buffer)

    def record_count(self) -> int:
        """By how many the sequence moves on."""
        return self._records

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        """Who sends it, and as what; aiokafka says so once, before the first attempt."""
        assert not self._is_built, "a batch that has gone out under one sequence must not go out under another"
        PRODUCER.pack_into(self._buffer, PRODUCER_AT, producer_id, producer_epoch, base_sequence)

    def _build(self) -> bytearray:
        """The bytes to send; the same at every attempt."""
        if not self._is_built:
            whole = np.frombuffer(self._buffer, np.uint8)
            CHECKSUM.pack_into(
                self._buffer, CHECKSUM_AT, checksum(whole, CHECKED_FROM, len(self._buffer), CHECKSUM_TABLE)
            )
            self._is_built = True
        return self._buffer


def batches(
    records: EncodedRecords, *, compression: str, transactional: bool, max_bytes: int
) -> Iterator[LaidOutBatch]:
    """All records, in batches of at most so many bytes before compression; one record at least is in each."""
    at = 0
    while at < records.count:
        part, at = section(records, at, max_bytes - HEADER_BYTES)
        yield LaidOutBatch(part, compression, transactional=transactional)


def moved() -> list[str]:
    """Name what an upgrade has moved; nothing, if this file still fits."""
    theirs = {name: each for name, each in vars(BatchBuilder).items() if inspect.isfunction(each)}
    ours = {name: each for name, each in vars(LaidOutBatch).items() if inspect.isfunction(each)}
    wanted = theirs.keys() - {"__init__", *OWN_AFFAIRS}
    found = [f"BatchBuilder.{name} is new" for name in sorted(wanted - ours.keys())]
    for name in sorted(ours.keys() - {"__init__"}):
        if name not in wanted:
            found.append(f"BatchBuilder.{name} is gone")
        elif list(inspect.signature(theirs[name]).parameters) != list(inspect.signature(ours[name]).parameters):
            found.append(f"BatchBuilder.{name} takes other arguments")
    return found + no_longer_used(TOUCHED_NAMES)
