"""Which Kafka there is to work with: one that is given, a real one started here, or the embedded one.

    python -m streams.kafka.brokers [--port PORT]

starts a real Apache Kafka, prints HOST:PORT on a line of its own once it answers, and runs until it is told to stop.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol

import click
from confluent_kafka import Producer

from streams.kafka.kafka_jars import Unavailable
from streams.kafka.kafka_process import KafkaProcess


class Broker(Protocol):
    """A Kafka to work with."""

    @property
    def bootstrap(self) -> str:
        """Where clients connect first: HOST:PORT, or several with commas."""

    @property
    def kind(self) -> str:
        """What it is, in words."""

    @property
    def transactions(self) -> bool:
        """Whether its transactions are real, so that exactly once can be tested on it."""

    def stop(self) -> None:
        """Let it go. One that was started here ends, and its data go."""


class GivenBroker(NamedTuple):
    """One that somebody else runs; it is believed to be real."""

    bootstrap: str
    kind: str = "the broker that TICKGATE_BROKER names"
    transactions: bool = True

    def stop(self) -> None:
        """Leave it running: it is not ours."""


class EmbeddedBroker:
    """The cluster for tests that librdkafka keeps inside this process.

    It keeps 5 MB or 100,000 records a partition, and nothing on disk. It takes transactions, but shows what was
    aborted and fences nobody.
    """

    kind: Final = "the embedded broker (librdkafka)"
    transactions: Final = False

    def __init__(self) -> None:
        self._cluster: Producer | None = Producer(
            {"bootstrap.servers": "ignored", "test.mock.num.brokers": 1, "log_level": 0}
        )
        (found,) = self._cluster.list_topics(timeout=10).brokers.values()
        self.bootstrap = f"{found.host}:{found.port}"

    def stop(self) -> None:
        """End the cluster; it lives as long as the client that made it."""
        self._cluster = None


class PassedOver(NamedTuple):
    """One kind of broker that was not taken."""

    kind: str
    reason: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"


class Picked(NamedTuple):
    """The broker that was taken, and why those before it were not."""

    broker: Broker
    passed_over: tuple[PassedOver, ...]


class NoBrokerError(Exception):
    """No kind of broker can be had here; the message names each with the reason."""

    def __init__(self, passed_over: tuple[PassedOver, ...]) -> None:
        super().__init__("no broker can be had: " + "; ".join(map(str, passed_over)))
        self.passed_over = passed_over


def given_broker(settings: Mapping[str, str]) -> Broker:
    """The broker that the settings name."""
    if not settings.get("TICKGATE_BROKER"):
        message = "TICKGATE_BROKER is not set"
        raise Unavailable(message)
    return GivenBroker(settings["TICKGATE_BROKER"])


def embedded_broker(_: Mapping[str, str]) -> Broker:
    """A new embedded broker: it always works."""
    return EmbeddedBroker()


class Source(NamedTuple):
    """One way to a broker."""

    kind: str
    transactions: bool
    start: Callable[[Mapping[str, str]], Broker]
    """Gives the broker, or raises Unavailable."""


SOURCES: Final = (
    Source("a given broker", transactions=True, start=given_broker),
    Source("Apache Kafka from Maven's jars", transactions=True, start=KafkaProcess.start),
    Source("the embedded broker", transactions=False, start=embedded_broker),
)
"""In the order they are tried."""


def pick_broker(
    settings: Mapping[str, str], *, require_transactions: bool, sources: tuple[Source, ...] = SOURCES
) -> Picked:
    """Take the first broker that works; where transactions are required, that has real ones."""
    passed_over: list[PassedOver] = []
    for source in sources:
        if require_transactions and not source.transactions:
            passed_over.append(PassedOver(source.kind, "its transactions are not real"))
            continue
        try:
            return Picked(source.start(settings), tuple(passed_over))
        except Unavailable as why:
            passed_over.append(PassedOver(source.kind, str(why)))
    raise NoBrokerError(tuple(passed_over))


def _stop(*_: object) -> None:
    """What a signal does: leave through every `finally` and `with`."""
    sys.exit(0)


@click.command("kafka", help="Start a real Apache Kafka, print HOST:PORT once it answers, and run until stopped.")
@click.option("--port", default=0, help="Listen on this port; any free one unless given.")
def main(port: int) -> None:
    """Run a real Kafka until a signal comes."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _stop)
    try:
        with KafkaProcess.start(os.environ, port=port) as broker:
            click.echo(f"{broker.kind} is ready; Ctrl-C stops it and removes its data.", err=True)
            click.echo(broker.bootstrap)
            click.echo(f"Kafka ended by itself:\n{broker.wait()}", err=True)
    except Unavailable as why:
        click.echo(f"Kafka cannot be started: {why}", err=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
