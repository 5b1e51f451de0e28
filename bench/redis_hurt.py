"""What may happen to a Redis, done to real servers by hand: each trouble blocks until the server takes writes again."""

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from redis.exceptions import RedisError

from bench.kafka_ground import RunError
from bench.redis_server import RedisServer

FLUSHED_EVERY_S: Final = 0.5
SLOW_S, QUICK_S = 0.1, 0.05
"""A slow Redis answers nothing for so long, then everything for so long."""

SYNCED_WITHIN_S: Final = 30.0
LOOK_AGAIN_S: Final = 0.02


class Servers:
    """The one that takes writes and, where one has been asked for, its replica. They may change their parts."""

    def __init__(self, folder: Path, *, with_replica: bool = False) -> None:
        """Start them; raises `Unavailable` where there is no Redis."""
        self._replica: RedisServer | None = None
        self.main = _started(folder / "one")
        if with_replica:
            try:
                self._replica = _started(folder / "other")
            except BaseException:
                self.main.kill()
                raise
        self.urls = ",".join(each.url for each in (self.main, self._replica) if each is not None)
        self.stand_ready()

    def stand_ready(self) -> None:
        """Have the replica hold what the other holds, so that it may take over."""
        if self._replica is None:
            return
        with self._replica.client as client:
            client.execute_command("REPLICAOF", "127.0.0.1", self.main.port)
            until = time.monotonic() + SYNCED_WITHIN_S
            while client.info("replication").get("master_link_status") != "up":
                if time.monotonic() > until:
                    raise RunError(f"the replica was not in step after {SYNCED_WITHIN_S:.0f} s")
                time.sleep(LOOK_AGAIN_S)

    def fail_over(self, for_s: float) -> None:
        """The one that takes writes dies, and only after a while the replica is told to take them."""
        assert self._replica is not None, "it was asked for"
        self.main.kill()
        time.sleep(for_s)
        with self._replica.client as client:
            client.execute_command("REPLICAOF", "NO", "ONE")
        self.main, self._replica = self._replica, self.main
        self._replica.start()
        with self._replica.client as client:  # else there would be two that take writes
            client.execute_command("REPLICAOF", "127.0.0.1", self.main.port)

    def kill(self) -> None:
        """End them for good."""
        for each in (self.main, self._replica):
            if each is not None:
                with suppress(AssertionError):  # a frozen one can be killed, one that is gone not be woken
                    each.signal(signal.SIGCONT)
                each.kill()


def _started(folder: Path) -> RedisServer:
    folder.mkdir(parents=True)
    return RedisServer(folder, "--repl-diskless-sync-delay", "0")


def killed(servers: Servers, for_s: float) -> None:
    """It crashes, and comes back empty."""
    servers.main.kill()
    time.sleep(for_s)
    servers.main.start()


def flushed(servers: Servers, for_s: float) -> None:
    """Somebody empties it, again and again."""
    until = time.monotonic() + for_s
    with servers.main.client as client:
        client.flushall()
        while time.monotonic() + FLUSHED_EVERY_S < until:
            time.sleep(FLUSHED_EVERY_S)
            client.flushall()


def paused(servers: Servers, for_s: float) -> None:
    """It answers nothing, by an order of its own."""
    with servers.main.client as client:
        client.client_pause(int(1_000 * for_s), all=True)
    time.sleep(for_s)


def frozen(servers: Servers, for_s: float) -> None:
    """It answers nothing, as its process stands still."""
    servers.main.signal(signal.SIGSTOP)
    try:
        time.sleep(for_s)
    finally:
        servers.main.signal(signal.SIGCONT)


def slow(servers: Servers, for_s: float) -> None:
    """It answers late, most of the time."""
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        with servers.main.client as client:
            client.client_pause(int(1_000 * SLOW_S), all=True)
        time.sleep(SLOW_S + QUICK_S)


def full(servers: Servers, for_s: float) -> None:
    """It takes nothing more, as it has reached its `maxmemory`."""
    with servers.main.client as client:
        client.config_set("maxmemory", "1")
        try:
            time.sleep(for_s)
        finally:
            with suppress(RedisError):
                client.config_set("maxmemory", "0")


def failed_over(servers: Servers, for_s: float) -> None:
    """It dies, and its replica takes over after a while."""
    servers.fail_over(for_s)


TROUBLES: Final[dict[str, Callable[[Servers, float], None]]] = {
    "killed": killed,
    "flushed": flushed,
    "paused": paused,
    "frozen": frozen,
    "slow": slow,
    "full": full,
    "failed over": failed_over,
}
"""By the name that the bench has for each."""

NEEDS_REPLICA: Final = "failed over"
