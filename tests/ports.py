"""Ports for servers that a test starts in a moment."""

import socket
from contextlib import ExitStack
from random import SystemRandom

HOST = "127.0.0.1"
PORTS = range(16_000, 18_000)


def free_ports(count: int) -> list[int]:
    """Some that follow each other and that nobody listens on; no client is given one of them meanwhile."""
    for first in SystemRandom().sample(PORTS, len(PORTS)):
        wanted = range(first, first + count)
        with ExitStack() as held:
            try:
                for port in wanted:
                    held.enter_context(socket.socket()).bind((HOST, port))
            except OSError:
                continue
            return [*wanted]
    message = "no ports are free"
    raise RuntimeError(message)
