"""What the demonstration runs beside itself: a broker inside this process, a feed and a worker in their own."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from confluent_kafka.admin import AdminClient

from streams.core.events import Strategy
from streams.kafka.registry import FileSchemas
from streams.kafka.strategy_topic import write_changes
from streams.settings import KNOWN, PREFIX, Settings

HOST: Final = "127.0.0.1"
ANSWER_TIMEOUT_S: Final = 10.0
STOP_TIMEOUT_S: Final = 15.0
LINES_SHOWN: Final = 15
KEPT: Final = ("kernel_cache",)
"""What a user has set and the demonstration keeps; everything else is its own."""


def settings_of_demo(broker: str) -> Settings:
    """The worker's settings: at least once, as the embedded broker's transactions are not real."""
    return Settings(
        broker=broker,
        topic_prefix="demo.",
        processing_guarantee="at_least_once",
        web_host=HOST,
        web_port=free_port(),
        log_level="warning",
    )


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def environment_of(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process with these settings."""
    own = {known.variable for field, known in KNOWN.items() if field not in KEPT}
    kept = {name: value for name, value in inherited.items() if name not in own}
    fields = ("broker", "topic_prefix", "processing_guarantee", "web_host", "web_port", "log_level")
    return {**kept, **{f"{PREFIX}{field.upper()}": str(getattr(settings, field)) for field in fields}}


def set_up(settings: Settings, strategies: Sequence[Strategy], ts_ms: int) -> int:
    """Make the topics and write the strategies; returns how many partitions the topic of ticks has."""
    admin = AdminClient({"bootstrap.servers": settings.broker, "log_level": 0})
    counts = {}
    for topic in settings.topics.all:  # the embedded broker makes a topic when it is asked for
        counts[topic] = len(admin.list_topics(topic, timeout=ANSWER_TIMEOUT_S).topics[topic].partitions)
    write_changes(settings.broker, settings.topics.strategy_changes, FileSchemas(), strategies, ts_ms)
    return counts[settings.topics.ticks]


class Child:
    """`tickgate ...` in a process of its own. What it prints is kept, to be shown where it fails."""

    def __init__(self, settings: Settings, *arguments: str) -> None:
        self.name = arguments[0]
        self._folder = tempfile.TemporaryDirectory(prefix="tickgate-demo-")
        self._printed, self._logged = Path(self._folder.name, "printed"), Path(self._folder.name, "logged")
        with self._printed.open("wb") as printed, self._logged.open("wb") as logged:
            # A session of its own: a Ctrl-C is meant for us, and we end our children in order.
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "streams.cli", *arguments],
                env=environment_of(settings, os.environ),
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=logged,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    @property
    def ended(self) -> bool:
        """Whether it runs no more."""
        return self._process.poll() is not None

    def tell_to_end(self) -> None:
        """Ask it to end, and do not wait."""
        self._process.send_signal(signal.SIGTERM)

    def end(self) -> int:
        """Ask it to end, and wait until it has; returns its exit code."""
        self.tell_to_end()
        try:
            return self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    @property
    def printed(self) -> str:
        """What it gave out."""
        return self._printed.read_text(errors="replace")

    @property
    def last_words(self) -> str:
        """The last lines that it logged."""
        return "\n".join(self._logged.read_text(errors="replace").splitlines()[-LINES_SHOWN:])
