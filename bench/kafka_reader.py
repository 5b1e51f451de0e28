"""Executions noted as they come, and looked at when nothing is measured any more.

Each answer of the broker is kept as it came, with the time at which all of it was there.
"""

import gc
import struct
import time
from collections.abc import Iterable, Iterator
from io import BytesIO
from multiprocessing.connection import Connection
from typing import Final, NamedTuple

import numpy as np
from aiokafka.protocol.fetch import FetchRequest_v4, FetchResponse_v4

from bench import reference
from bench.kafka_answer import Answer, answer_of, ends_of, execution_of, pairs_of_executions
from bench.kafka_ground import RunError
from bench.kafka_wire import answer, connected, framed, go_first
from streams.kafka.record_batch import Response

SILENCE_S: Final = 4.0
"""After the last tick: so long without an execution, and no more will come."""

MAX_WAIT_MS: Final = 100
MAX_BYTES: Final = 32 << 20
NO_REPLICA: Final = -1
READ_COMMITTED: Final = 1
START: Final = struct.Struct(">qi")
"""Of a batch: its first offset, and how many bytes follow."""

LAST_DELTA: Final = struct.Struct(">i")
LAST_DELTA_AT: Final = 23


class Part(NamedTuple):
    """What one answer brought of one partition."""

    read_s: float
    offset: int
    """Where it was asked from."""
    aborted: list[tuple[int, int]]
    data: bytes


class Received(NamedTuple):
    """Executions in the order they were read."""

    read_s: "np.ndarray[tuple[int], np.dtype[np.float64]]"
    partition: reference.Int32s
    first_offset: reference.Int64s
    answer: Answer


def read_as_they_come(bootstrap: str, topic: str, line: Connection) -> None:
    """The reader's process: say that it stands at the end of the topic, then note what comes until it is told."""
    offsets, found = ends_of(bootstrap, topic), list[Part]()
    gc.disable()  # a look through all that was read takes 80 ms, and whatever comes meanwhile would seem late by them
    go_first()
    with connected(bootstrap) as to:
        line.send("ready")
        last_s, number = time.monotonic(), 0
        while not line.poll() or time.monotonic() - last_s < SILENCE_S:
            number += 1
            to.sendall(framed(fetch(topic, offsets), number))
            said = answer(to)
            came = list(parts(said, time.monotonic(), offsets))
            last_s = came[0].read_s if came else last_s
            found += came
    line.send(received(found))


def fetch(topic: str, offsets: dict[int, int]) -> FetchRequest_v4:
    """Ask for what is committed behind these offsets, as soon as there is any."""
    wanted = [(topic, [(partition, offset, MAX_BYTES) for partition, offset in offsets.items()])]
    return FetchRequest_v4(NO_REPLICA, MAX_WAIT_MS, 1, MAX_BYTES, READ_COMMITTED, wanted)


def parts(said: bytes, read_s: float, offsets: dict[int, int]) -> Iterator[Part]:
    """What an answer has brought; moves the offsets on."""
    for topic, partitions in FetchResponse_v4.decode(BytesIO(said)).topics:
        for partition, error, _, _, aborted, data in partitions:
            if error:
                raise RunError(f"{topic}, partition {partition} cannot be read: error {error}")
            end = end_of(data)
            if end is not None:
                yield Part(read_s, offsets[partition], aborted or [], data)
                offsets[partition] = end


def end_of(data: bytes) -> int | None:
    """Behind the last batch that is there whole."""
    at, end = 0, None
    while at + START.size <= len(data):
        offset, length = START.unpack_from(data, at)
        if at + START.size + length > len(data):
            break
        end = offset + LAST_DELTA.unpack_from(data, at + LAST_DELTA_AT)[0] + 1
        at += START.size + length
    return end


def received(found: Iterable[Part]) -> Received:
    """Decode what was read, and when."""
    read = [(part.read_s, value) for part in found for value in values(part)]
    causes = [execution_of(value)["cause"] for _, value in read]
    return Received(
        np.array([read_s for read_s, _ in read]),
        np.array([cause["partition"] for cause in causes], np.int32),
        np.array([cause["first_offset"] for cause in causes], np.int64),
        answer_of(pairs_of_executions((b"", value) for _, value in read)),
    )


def values(part: Part) -> Iterator[bytes]:
    """The values of the records that are to be seen."""
    response = Response(part.data, part.offset, part.aborted)
    while (run := response.next_run()) is not None:
        yield from (run.columns.value(i) or b"" for i in range(len(run.columns)))
    if response.bad is not None:
        raise RunError(f"executions cannot be read at {response.bad.base_offset}: {response.bad.reason}")
