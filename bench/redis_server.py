"""A Redis server of one's own, for benches and tests: found or installed, on a free port, killed at the end."""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Final, Self

from redis import Redis
from redis.exceptions import RedisError

from streams.kafka.kafka_jars import Unavailable, cache_folder

NAME: Final = "redis-server"
INSTALL_TIMEOUT_S: Final = 300
UP_S: Final = 20.0
HIGHEST_PORT: Final = 55_535
"""A node of a cluster talks to others 10,000 above its port."""


def find_redis_server() -> str:
    """The one on the path; where there is none, it is installed, if this is root and there is apt."""
    found = shutil.which(NAME)
    if found:
        return found
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        message = f"{NAME} is not on the path, and only root with apt-get can install it"
        raise Unavailable(message)
    cache = cache_folder(os.environ)
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "redis.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return shutil.which(NAME) or _install(apt)


def _install(apt: str) -> str:
    """Install it; what went wrong is the reason why there is none."""
    said = ""
    for arguments in (("update",), ("install", "--yes", "--no-install-recommends", NAME, "redis-tools")):
        try:
            done = subprocess.run(
                [apt, "-qq", *arguments],
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=INSTALL_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired as error:
            message = f"apt-get {arguments[0]} had not ended after {INSTALL_TIMEOUT_S} s"
            raise Unavailable(message) from error
        said = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else said
    found = shutil.which(NAME)
    if found is None:
        message = f"apt-get could not install {NAME}: {said}"
        raise Unavailable(message)
    return found


class RedisServer:
    """One server. `options` are those of `redis-server`, such as `--maxmemory 1mb`."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._path, self._folder, self._options = find_redis_server(), folder, options
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
    while True:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = int(found.getsockname()[1])
        if port <= HIGHEST_PORT:
            return port
