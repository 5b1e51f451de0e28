"""What every measurement on Kafka stands on: a real broker, topics with strategies and ticks, and `tickgate` itself."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Final, NamedTuple

import numpy as np
import yaml

from bench import reference, workload
from streams.core.events import Strategy
from streams.kafka.brokers import pick_broker
from streams.kafka.topic_file import default_file
from streams.strategy_file import write_strategies
from streams.topic_names import TopicNames

PARTITIONS: Final = 4
COMMAND_TIMEOUT_S: Final = 300
WORDS_SHOWN: Final = 3
CHANGES_THE_WORK: Final = ("PER_TICKER_THROTTLE", "USE_SYMBOL_UPDATE_TRACKING")
"""Flags of a user that would make the answer another one."""


class RunError(Exception):
    """A program that is measured did not do its work; the message holds what it said last."""


class Ground(NamedTuple):
    """A broker and a folder for files that go at the end."""

    bootstrap: str
    kind: str
    scratch: Path


class Place(NamedTuple):
    """One environment on the broker, by its topics' prefix, and one application in it."""

    ground: Ground
    prefix: str
    app_id: str
    guarantee: str = "exactly_once"

    @property
    def topics(self) -> TopicNames:
        """The names of the topics."""
        return TopicNames(self.prefix, self.app_id)

    def environment(self, inherited: Mapping[str, str], **more: str) -> dict[str, str]:
        """The settings of a `tickgate` that works here. What else a user has set of it holds too."""
        kept = {name: value for name, value in inherited.items() if name not in CHANGES_THE_WORK}
        own = {
            "TICKGATE_BROKER": self.ground.bootstrap,
            "TICKGATE_TOPIC_PREFIX": self.prefix,
            "TICKGATE_APP_ID": self.app_id,
            "TICKGATE_PROCESSING_GUARANTEE": self.guarantee,
            "TICKGATE_WEB_PORT": "0",
        }
        return {**kept, **own, **more}


@contextmanager
def real_broker() -> Iterator[Ground]:
    """A broker whose transactions are real; raises `NoBrokerError` where there is none."""
    picked = pick_broker(os.environ, require_transactions=True)
    try:
        with tempfile.TemporaryDirectory(prefix="tickgate-bench-") as folder:
            yield Ground(picked.broker.bootstrap, picked.broker.kind, Path(folder))
    finally:
        picked.broker.stop()


def say(text: str) -> None:
    """Tell how far it is; the table comes at the end."""
    print(f"  … {text}", file=sys.stderr, flush=True)


def tickgate(place: Place, *arguments: str) -> str:
    """Run one command of `tickgate` to its end; returns what it printed."""
    return finished([sys.executable, "-m", "streams.cli", *arguments], place.environment(os.environ))


def finished(command: list[str], environment: Mapping[str, str], cwd: Path | None = None) -> str:
    """Run a command to its end; returns what it printed, or raises with its last words."""
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RunError(f"not done after {COMMAND_TIMEOUT_S} s") from error
    if done.returncode != 0:
        raise RunError(f"ended with {done.returncode}: {last_words(done.stderr or done.stdout)}")
    return done.stdout


def last_words(said: str) -> str:
    """The end of what a program said."""
    return "\n".join(said.strip().splitlines()[-WORDS_SHOWN:])


Run = Callable[..., object]
"""Runs one command of `tickgate` at a place, as `tickgate` does; raises where it fails."""


def make_topics(place: Place, run: Run = tickgate) -> None:
    """The topics as they come along, but for `ticks`, which has the partitions that the workload has."""
    said = yaml.safe_load(default_file().read_text(encoding="utf-8"))
    for entry in said["topics"]:
        if entry["topic"] == "ticks":
            entry["partitions"] = PARTITIONS
    file = place.ground.scratch / "topics.yaml"
    file.write_text(yaml.safe_dump(said))
    run(place, "topics", "apply", "--file", str(file))


def import_strategies(place: Place, strategies: list[Strategy], run: Run = tickgate) -> None:
    """Bring strategies onto their topic."""
    file = place.ground.scratch / "strategies.jsonl"
    write_strategies(strategies, file)
    run(place, "strategies", "import", str(file))


def load_ticks(ground: Ground, topic: str, who: reference.Int32s, when: reference.Int64s) -> None:
    """Make the topic and send the ticks, as the workload's own loader does."""
    np.savez(ground.scratch / "ticks.npz", who=who, when=when)
    workload.load(SimpleNamespace(dir=ground.scratch, broker=ground.bootstrap, topic=topic, partitions=PARTITIONS))
