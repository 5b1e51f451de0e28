"""Kafka's protocol over one plain connection, for a bench's own sender and reader.

The cores of a virtual machine are often two threads of one: what the ends take there makes the worker slower, and in
life they are on machines of their own. So they do no more than they must while something is measured, and wake first.
"""

import contextlib
import os
import socket
import struct
from typing import Any, Final

ANSWERED_WITHIN_S: Final = 60.0
LENGTH: Final = struct.Struct(">i")
HEADER: Final = struct.Struct(">hhih")
"""Of a request: what it asks for, by which version, its number, and no name of the client."""

NUMBER_BYTES: Final = 4
"""Of an answer, before what it says."""


def connected(bootstrap: str) -> socket.socket:
    """A connection to a broker. Use it in a `with`."""
    host, _, port = bootstrap.rpartition(":")
    found = socket.create_connection((host, int(port)), ANSWERED_WITHIN_S)
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found


def framed(request: Any, number: int) -> bytes:  # noqa: ANN401 - any of aiokafka's structs
    """A request as it goes out."""
    body: bytes = request.encode()
    header = HEADER.pack(request.API_KEY, request.API_VERSION, number, -1)
    return LENGTH.pack(len(header) + len(body)) + header + body


def answer(to: socket.socket) -> bytes:
    """Wait for the next answer; returns what it says."""
    length: int = LENGTH.unpack(exactly(to, LENGTH.size))[0]
    return exactly(to, length)[NUMBER_BYTES:]


def exactly(to: socket.socket, size: int) -> bytes:
    """So many bytes."""
    found = bytearray(size)
    view, at = memoryview(found), 0
    while at < size:
        came = to.recv_into(view[at:])
        if not came:
            raise ConnectionError("the broker closed the connection")
        at += came
    return bytes(found)


def go_first() -> None:
    """Wake ahead of all others, where this user may: who is another machine does not wait for a core here."""
    with contextlib.suppress(PermissionError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
