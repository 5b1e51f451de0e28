"""Worker processes of a crash run, and how far their shards have come."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.error import HTTPError
from urllib.request import urlopen

from confluent_kafka import Consumer, TopicPartition

from streams.core.special_rows import POSITION_KEY, read_position
from streams.settings import KNOWN, Settings
from tests.chaos.plan import DRAIN, PLAN, Plan
from tests.chaos.stacks import ASK
from tests.house.tree import ROOT

LINES_SHOWN: Final = 40
TELLING_S: Final = 2.0
"""What a worker may take to say where it stands."""

SERVED: Final = re.compile(r"tables at (http://\S+)")
NO_BROKER: Final = ("no answer, so that it could not", "Unable to bootstrap", "GroupCoordinatorNotAvailableError")
"""What a worker says that gives up because the broker is away."""

_FROM_THE_START: Final = -2


class Done(NamedTuple):
    """What a worker did to itself."""

    signal: str
    step: str
    partition: int
    next_offset: int


class Worker:
    """One process."""

    def __init__(self, name: str, settings: Settings, folder: Path, plan: Plan | None, drain: bool) -> None:
        self.name, self.plan = name, plan
        self.was_frozen = False
        """Whether it has been away for so long that it may end with an error."""
        self.was_late = False
        """Whether it was to stop, and did not in time."""
        self.told, self.log = folder / f"{name}.out", folder / f"{name}.log"
        chaos = {PLAN: "" if plan is None else str(plan), DRAIN: str(int(drain))}
        with self.told.open("wb") as out, self.log.open("wb") as log:
            command = [sys.executable, "-m", "tests.chaos.worker"]
            environment = {**environment_of(settings), **chaos}
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=log
            )

    @property
    def is_stopped(self) -> bool:
        """Whether it is frozen."""
        if self.process.returncode is not None:
            return False
        flags = os.WSTOPPED | os.WNOHANG | os.WNOWAIT
        try:
            return os.waitid(os.P_PID, self.process.pid, flags) is not None
        except ChildProcessError:  # it has ended, and nobody has asked how
            return False

    @property
    def done(self) -> Done | None:
        """What it did to itself, if it has."""
        lines = [line.split() for line in self.told.read_text().splitlines() if line.startswith("chaos ")]
        return Done(lines[-1][1], lines[-1][2], int(lines[-1][3]), int(lines[-1][4])) if lines else None

    @property
    def found_no_broker(self) -> bool:
        """Whether it ended because the broker was away while it was starting, or recovering: Faust gives up then.

        Whoever runs workers starts it anew; what matters is that nothing is lost by it, which the audit says.
        """
        said = self.log.read_text(errors="replace")
        return any(words in said for words in NO_BROKER)

    def resume(self) -> None:
        """Let it go on; it may find that others have taken its place."""
        self.was_frozen = True
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOHANG)
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """End it at once, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stacks(self) -> str:
        """Where it stands, as it says itself; nothing, where it does not answer."""
        said = len(self.log.read_bytes())
        self.process.send_signal(ASK)
        time.sleep(TELLING_S)
        told = self.log.read_bytes()[said:].decode(errors="replace")
        return f"{self.name} ({self.plan}) says {self.readiness()}, and stands at\n{told}"

    def readiness(self) -> str:
        """What it tells of its shards."""
        served = SERVED.search(self.log.read_text(errors="replace"))
        try:
            with urlopen(f"{served[1]}/readyz" if served else "", timeout=TELLING_S) as answer:  # noqa: S310 - its own
                return str(answer.read().decode())
        except HTTPError as error:
            return error.read().decode()
        except (OSError, ValueError) as error:
            return f"nothing: {error}"

    def last_words(self) -> str:
        """Tell how it ended, and what it said last."""
        lines = self.log.read_text(errors="replace").splitlines()[-LINES_SHOWN:]
        return "\n".join([f"{self.name} ({self.plan}) ended with {self.process.returncode}:", *lines])


def environment_of(settings: Settings) -> dict[str, str]:
    """The environment of a worker with these settings, and nothing of ours that was set outside."""
    known = {each.variable for each in KNOWN.values()}
    others = {name: value for name, value in os.environ.items() if name not in known or "CACHE" in name}
    wanted = {name: value for name, value in settings.shown().items() if value}
    return {**others, **wanted}


class Progress:
    """Follows the position rows of all shards, as they are committed."""

    def __init__(self, settings: Settings, shards: int) -> None:
        self.positions = dict.fromkeys(range(shards), 0)
        self.changed = threading.Condition()
        """Notified with each position."""
        self._topic = settings.topics.changelog("last_bucket")
        options: dict[str, Any] = {"bootstrap.servers": settings.broker, "group.id": "chaos-progress", "log_level": 0}
        self._consumer = Consumer({**options, "isolation.level": "read_committed", "enable.auto.commit": False})
        self._consumer.assign([TopicPartition(self._topic, p, _FROM_THE_START) for p in range(shards)])
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def stop(self) -> None:
        """Follow no longer."""
        self._ended.set()
        self._thread.join()
        self._consumer.close()

    def lag(self, ends: Mapping[tuple[str, int], int], topic: str) -> int:
        """How many ticks are still to be decided."""
        return sum(max(0, ends.get((topic, p), 0) - position) for p, position in self.positions.items())

    def _follow(self) -> None:
        while not self._ended.is_set():
            for message in self._consumer.consume(100, 0.05):
                key, value, partition = message.key(), message.value(), message.partition()
                if message.error() is None and key == POSITION_KEY and value is not None and partition is not None:
                    with self.changed:
                        self.positions[partition] = read_position(value).next_offset
                        self.changed.notify_all()
