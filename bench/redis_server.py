"""A Redis server of one's own, for benches and tests: found or installed, on a free port, killed at the end."""

import signal
import subprocess
import time
from pathlib import Path
from typing import Final, Self

from redis import Redis
from redis.exceptions import RedisError

from bench.installed import found_or_installed
from streams.demo.stage import free_port
from streams.kafka.kafka_jars import Unavailable

NAME: Final = "redis-server"
UP_S: Final = 20.0
HIGHEST_PORT: Final = 55_535
"""A node of a cluster talks to others 10,000 above its port."""


class RedisServer:
    """One server. `options` are those of `redis-server`, such as `--maxmemory 1mb`."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._path, self._folder, self._options = found_or_installed([NAME], NAME, "redis-tools"), folder, options
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> Redis:
        """A plain client."""
        return Redis(port=self.port, decode_responses=True)

    def start(self) -> None:
        """Start it, on the same port as ever, and wait until it answers."""
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", "")
        self._process = subprocess.Popen(
            [self._path, *options, *self._options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        until = time.monotonic() + UP_S
        while True:
            try:
                with self.client as client:
                    client.ping()
            except RedisError as error:
                if time.monotonic() > until or self._process.poll() is not None:
                    message = f"{NAME} did not come up: {error}"
                    raise Unavailable(message) from error
                time.sleep(0.02)
            else:
                return

    def signal(self, number: signal.Signals) -> None:
        """Freeze it, say."""
        assert self._process is not None, "it was started"
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a crash does; what it held is gone, but for what its options make it keep."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def _free_port() -> int:
    while (port := free_port()) > HIGHEST_PORT:
        pass
    return port
