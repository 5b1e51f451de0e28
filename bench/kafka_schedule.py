"""Ticks sent on a schedule that never waits, in requests that were made before.

A tick counts from the moment that it was due, also where the sender, the broker or the worker was late. So a stall is
seen at its full length by every tick that fell into it. What is due within `GATHER_S` goes out together at its end, as
a producer that lingers sends it, and in order: over one connection, whose requests a broker takes one by one.

That all is encoded and laid out before leaves the sender with a hundredth of a core in place of a quarter, see
`kafka_wire.py`.
"""

import gc
import math
import socket
import time
from collections.abc import Iterator
from io import BytesIO
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from aiokafka.protocol.produce import ProduceRequest_v7, ProduceResponse_v7

from bench import reference, workload
from bench.kafka_bulk import ticks_as_records
from bench.kafka_ground import PARTITIONS, RunError
from bench.kafka_wire import LENGTH, NUMBER_BYTES, connected, framed, go_first
from streams.core.records import by_partition
from streams.kafka.laid_out_batch import batches

GATHER_S: Final = 0.004
"""What is due within it is one request. It is part of the latencies; with less, half of the machine would only send."""

HEAD_START_S: Final = 0.5
MAX_BYTES: Final = 1 << 20
ALL_REPLICAS: Final = -1
TIMEOUT_MS: Final = 30_000
READ_AT_ONCE: Final = 1 << 16


class Flow(NamedTuple):
    """Where to send, and how fast."""

    bootstrap: str
    topic: str
    rate: float
    """Ticks a second."""
    warm_up_s: float = 0.0
    """At the start: a broker that has just been started is slow, and the sender late with it."""


class Sent(NamedTuple):
    """How the sender kept to its schedule."""

    start_s: float
    """When the first tick was due, on the clock that all processes of the machine share."""
    most_behind_s: float
    """How late a request went out at worst, behind the warm-up."""


def send_on_schedule(flow: Flow, ticks: Path, line: Connection) -> None:
    """The sender's process: say that all is laid out, wait for the start, send each request when it is due."""
    found = np.load(ticks)
    frames = list(requests(flow, found["who"], found["when"]))
    gc.freeze()
    go_first()
    with connected(flow.bootstrap) as to:
        line.send("ready")
        line.recv()
        start_s, most_behind_s, answers = time.monotonic() + HEAD_START_S, 0.0, bytearray()
        for number, frame in enumerate(frames, 1):
            due_s = number * GATHER_S
            time.sleep(max(0.0, start_s + due_s - time.monotonic()))
            to.sendall(frame)
            if due_s > flow.warm_up_s:
                most_behind_s = max(most_behind_s, time.monotonic() - start_s - due_s)
            take_answers(to, answers)
        must_be_taken(to, answers, len(frames))
    line.send(Sent(start_s, most_behind_s))


def requests(flow: Flow, who: reference.Int32s, when: reference.Int64s) -> Iterator[bytes]:
    """The requests in their order, with their lengths."""
    names = [workload.ticker_name(number) for number in range(int(who.max()) + 1)]
    every, ends = ticks_as_records(who, when, names), slot_ends(len(who), flow.rate)
    for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        data = [
            (partition, bytes(batch._build()))  # noqa: SLF001 - as aiokafka calls it
            for partition, part in by_partition(every.picked(slice(start, end)), PARTITIONS)
            for batch in batches(part, compression="lz4", transactional=False, max_bytes=MAX_BYTES)
        ]
        yield framed(ProduceRequest_v7(None, ALL_REPLICAS, TIMEOUT_MS, [(flow.topic, data)]), number)


def slot_ends(ticks: int, rate: float) -> list[int]:
    """For each request, how many ticks are due before its end; the n-th is due at n / rate."""
    ends = [0]
    while ends[-1] < ticks:
        ends.append(min(ticks, math.ceil(round(len(ends) * GATHER_S * rate, 6))))
    return ends[1:]


def take_answers(to: socket.socket, answers: bytearray) -> None:
    """What has come so far, without waiting."""
    try:
        answers += to.recv(READ_AT_ONCE, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return


def must_be_taken(to: socket.socket, answers: bytearray, count: int) -> None:
    """Wait for the answers that are missing; raises where the broker has refused anything."""
    at, number = 0, 0
    while number < count:
        while len(answers) < at + LENGTH.size or len(answers) < at + LENGTH.size + length_at(answers, at):
            came = to.recv(READ_AT_ONCE)
            if not came:
                raise RunError(f"the broker closed the connection after {number} of {count} requests")
            answers += came
        end = at + LENGTH.size + length_at(answers, at)
        answer = ProduceResponse_v7.decode(BytesIO(answers[at + LENGTH.size + NUMBER_BYTES : end]))
        for topic, partitions in answer.topics:
            for partition, error, *_ in partitions:
                if error:
                    raise RunError(f"the broker refused ticks of {topic}, partition {partition}: error {error}")
        at, number = end, number + 1


def length_at(answers: bytearray, at: int) -> int:
    """Of the answer that begins here."""
    length: int = LENGTH.unpack_from(answers, at)[0]
    return length
