"""A real Apache Kafka of one node, run from its jars on this machine, with its data in a folder of its own.

It can be killed, frozen and bounced, for tests of what is left after that. Its data go when it stops, also when
this process is killed: a guard waits on a pipe that only this process holds open.
"""

import base64
import os
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from random import SystemRandom
from typing import Final, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.kafka.kafka_jars import KafkaJars, Unavailable, find_jars

HOST: Final = "127.0.0.1"
PORTS: Final = range(20_000, 32_000)
"""Below what the kernel hands to outgoing connections. Else a client that looks for a bounced broker could be given
the broker's own port, be connected to itself, and keep the broker from coming back."""

HEAP: Final = ("-Xms768m", "-Xmx768m")
PAUSELESS: Final = ("-XX:+UseZGC",)
FEW_PAUSES: Final = ("-Xmn512m", "-XX:+UseSerialGC")
"""How the broker collects its garbage, beside others on few cores. Java's own choice (G1) has a thread for each core,
and these wait for each other while others run: every second a pause stopped all clients for 10 to 120 ms. One thread
and room for young objects: 18 to 82 ms every twelve seconds. ZGC: not a millisecond. Not every Java has it."""

READY_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 20.0
ATTEMPTS: Final = 3
"""Between the choice of a port and its use, another process may take it."""

LOG_LINES_SHOWN: Final = 20

PROPERTIES: Final = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    # One node holds the only replica of everything.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # Event times may be any: old ones are kept, later ones are taken.
    "log.retention.ms": "-1",
    "log.message.timestamp.after.max.ms": str(2**63 - 1),
    # No waiting for members that will not come; tests of crashes want short sessions.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    # A killed broker may come back as soon as its old registration has run out.
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    # Compaction and deletion soon after they are due, in little memory.
    "log.cleaner.backoff.ms": "200",
    "log.cleaner.dedupe.buffer.size": str(16 << 20),
    "log.retention.check.interval.ms": "500",
    "log.segment.delete.delay.ms": "500",
}

LOGGING: Final = """\
status=off
appender.file.type=File
appender.file.name=file
appender.file.fileName={log}
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d %p %c: %m%n%xThrowable
rootLogger.level=warn
rootLogger.appenderRef.file.ref=file
"""

GUARD: Final = 'read -r _ || { kill -9 "$1"; rm -rf -- "$2"; }'
"""Ends at a word from us; where the pipe closes without one, we were killed, and it clears up."""


@cache
def collector(java: str) -> tuple[str, ...]:
    """How garbage is collected with the shortest pauses that this Java has."""
    asked = [java, *PAUSELESS, "-version"]
    has_it = subprocess.run(asked, capture_output=True, check=False).returncode == 0  # noqa: S603
    return PAUSELESS if has_it else FEW_PAUSES


class KafkaProcess:
    """A running broker. `stop` when done, or use it in a `with`."""

    transactions: Final = True

    def __init__(self, jars: KafkaJars, properties: Mapping[str, str], ports: tuple[int, int]) -> None:
        self.kind = f"Apache Kafka {jars.version} (Maven)"
        self.bootstrap = f"{HOST}:{ports[0]}"
        self._jars = jars
        self._data = tempfile.TemporaryDirectory(prefix="tickgate-kafka-")
        self._folder = Path(self._data.name)
        self._running: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        addresses = {
            "listeners": f"PLAINTEXT://{HOST}:{ports[0]},CONTROLLER://{HOST}:{ports[1]}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.quorum.voters": f"1@{HOST}:{ports[1]}",
            "log.dirs": str(self._folder / "data"),
        }
        lines = {**PROPERTIES, **addresses, **properties}.items()
        self._config.write_text("".join(f"{name}={value}\n" for name, value in lines))
        (self._folder / "log4j2.properties").write_text(LOGGING.format(log=self._folder / "broker.log"))

    @classmethod
    def start(cls, settings: Mapping[str, str], properties: Mapping[str, str] | None = None, port: int = 0) -> Self:
        """Start one, with Kafka's properties changed where given, and wait until it answers."""
        jars = find_jars(settings)
        trouble: Unavailable | None = None
        for _ in range(1 if port else ATTEMPTS):
            broker = cls(jars, properties or {}, _free_ports(port))
            try:
                broker._format()
                broker.launch()
            except Unavailable as error:
                broker.stop()
                trouble = error
            except BaseException:
                broker.stop()
                raise
            else:
                return broker
        assert trouble is not None
        raise trouble

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _config(self) -> Path:
        return self._folder / "server.properties"

    def launch(self) -> None:
        """Start the server on its data, as after `kill`, and wait until it answers."""
        assert self._running is None, "it runs already"
        command = self._java(
            *HEAP, *collector(self._jars.java), "-cp", f"{self._jars.folder}/*", "kafka.Kafka", str(self._config)
        )
        with (self._folder / "printed").open("ab") as printed:
            # A session of its own: a Ctrl-C meant for us must not reach it.
            self._running = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.DEVNULL, stdout=printed, stderr=printed, start_new_session=True
            )
        guard = ["sh", "-c", GUARD, "guard", str(self._running.pid), str(self._folder)]
        self._guard = subprocess.Popen(guard, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603
        self._wait_until_ready(self._running)

    def wait(self) -> str:
        """Wait until the server ends by itself; returns what it said last."""
        assert self._running is not None, "it does not run"
        self._running.wait()
        return self._last_words()

    def pause(self) -> None:
        """Freeze it: its connections stay open and nothing answers. Returns when its last thread stands still."""
        os.waitid(os.P_PID, self._signal(signal.SIGSTOP), os.WSTOPPED)

    def resume(self) -> None:
        """Let a frozen one go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as a crash does; its data stay."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it in good order, then start it on the same port and data."""
        self._end(signal.SIGTERM)
        self.launch()

    def stop(self) -> None:
        """Stop it, if it runs, and remove its data."""
        self._end(signal.SIGTERM)
        self._data.cleanup()

    def _signal(self, number: signal.Signals) -> int:
        """Send it a signal; returns its number among the processes."""
        assert self._running is not None, "it does not run"
        self._running.send_signal(number)
        return self._running.pid

    def _end(self, how: signal.Signals) -> None:
        if self._running is not None:
            self._running.send_signal(signal.SIGCONT)
            self._running.send_signal(how)
            try:
                self._running.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._running.kill()
                self._running.wait()
        if self._guard is not None:
            self._guard.communicate(b"\n")
        self._running = self._guard = None

    def _java(self, *arguments: str) -> list[str]:
        return [self._jars.java, f"-Dlog4j2.configurationFile={self._folder / 'log4j2.properties'}", *arguments]

    def _format(self) -> None:
        # It must not begin with a dash, which Kafka's tool takes for an option.
        cluster = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        quick = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{self._jars.folder}/*")
        tool = ("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._config))
        done = subprocess.run(self._java(*quick, *tool), capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            message = f"Kafka could not format its storage: {(done.stderr or done.stdout).strip()}"
            raise Unavailable(message)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Ready means that it answers in Kafka's protocol; the port is open long before."""
        client = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 100})
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                message = f"Kafka ended while it started:\n{self._last_words()}"
                raise Unavailable(message)
            try:
                if client.list_topics(timeout=0.5).brokers:
                    return
            except KafkaException:
                continue
        message = f"Kafka did not answer within {READY_TIMEOUT_S:.0f} s:\n{self._last_words()}"
        raise Unavailable(message)

    def _last_words(self) -> str:
        said = [self._folder / name for name in ("printed", "broker.log")]
        lines = [line for path in said if path.exists() for line in path.read_text(errors="replace").splitlines()]
        return "\n".join(lines[-LOG_LINES_SHOWN:])


def _free_ports(wanted: int) -> tuple[int, int]:
    """A port for clients, the one wanted if any, and one for the controller."""
    found: list[int] = [wanted] if wanted else []
    with ExitStack() as held:
        for port in SystemRandom().sample(PORTS, len(PORTS)):
            if len(found) == 2:  # noqa: PLR2004
                break
            probe = held.enter_context(socket.socket())
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            if port not in found:
                found.append(port)
    if len(found) < 2:  # noqa: PLR2004
        message = f"no two free ports between {PORTS.start} and {PORTS.stop}"
        raise Unavailable(message)
    return found[0], found[1]
