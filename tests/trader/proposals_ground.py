"""Topics of a test of proposals: results that are sent, what stands there, processes that propose, and the audit."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.kafka.bad_values import Reason
from streams.kafka.codec import Decoder, Encoder
from streams.kafka.registry import FileSchemas
from streams.kafka.result_records import decoded_result
from streams.kafka.whole_topic import read_whole
from streams.settings import Settings
from tests.chaos.plan import DRAIN, PLAN
from tests.chaos.processes import environment_of
from tests.house.tree import ROOT
from tests.trader.proposals_oracle import Results, expected, problems

SCHEMAS: Final = FileSchemas()
ENCODER: Final = Encoder(SCHEMAS, ["result"])
PARTITIONS: Final = 3
PATIENCE_S: Final = 60.0
"""A process that is the first to compile the kernel takes a while on a busy machine."""

LOOK_AGAIN_S: Final = 0.02


class Ground:
    """Topics of its own, a policy file, and what is sent."""

    def __init__(self, bootstrap: str, folder: Path, policy: str) -> None:
        self.settings = Settings(
            broker=bootstrap,
            topic_prefix=f"{uuid.uuid4().hex[:8]}.",
            web_port=0,
            session_timeout_ms=1_500,
            heartbeat_ms=300,
            checkpoint_timeout_ms=600_000,  # what a dead or frozen process left open is settled by fencing, or never
        )
        self.folder, self.policy, self.topics = folder, folder / "policy.yaml", self.settings.topics
        self.policy.write_text(policy)
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "enable.idempotence": True}
            | {"linger.ms": 2, "log_level": 0}
        )
        self.sent = self.started = 0
        results = self.topics.alert_results
        self._make({results: PARTITIONS, self.topics.proposals: 2, self.topics.dead_letters(results): 1})
        self._make({self.topics.conviction: 1})
        self._make({self.topics.conviction_state: 1}, **{"cleanup.policy": "compact"})

    def _make(self, partitions: dict[str, int], **config: str) -> None:
        admin = AdminClient({"bootstrap.servers": self.settings.broker})
        wanted = [NewTopic(name, size, 1, config={"retention.ms": "-1", **config}) for name, size in partitions.items()]
        for made in admin.create_topics(wanted).values():
            made.result(30)
        self.until(lambda: set(partitions) <= set(admin.list_topics(timeout=10).topics), "the broker tells of them")

    def make_results_anew(self) -> None:
        """Delete `alert-results` and make it once more, as somebody might."""
        admin = AdminClient({"bootstrap.servers": self.settings.broker})
        admin.delete_topics([self.topics.alert_results])[self.topics.alert_results].result(30)
        self.until(lambda: self.topics.alert_results not in admin.list_topics(timeout=10).topics, "it is gone")
        self._make({self.topics.alert_results: PARTITIONS})

    def send(self, *results: dict[str, Any]) -> None:
        """Send results, as workers do."""
        for each in results:
            self.send_raw(each["strategy_id"].encode(), ENCODER.encode("result", each), each["ts"])
        assert self._producer.flush(30) == 0

    def send_raw(self, key: bytes, value: bytes, ts_ms: int) -> None:
        """Send anything."""
        self._producer.produce(self.topics.alert_results, key=key, value=value, timestamp=ts_ms)
        assert self._producer.flush(30) == 0
        self.sent += 1

    def start(self, plan: str = "", *, drain: bool = False) -> "Process":
        """Start a process that proposes."""
        self.started += 1
        return Process(self, self.started, plan, drain=drain)

    def read(self, topic: str, name: str) -> list[dict[str, Any]]:
        """All committed records of a topic."""
        decoder = Decoder(SCHEMAS, name)
        records = sorted(read_whole(self.settings.broker, topic), key=lambda each: (each.partition, each.offset))
        return [decoder.decode(each.value, each.headers) for each in records]

    def proposals(self) -> list[dict[str, Any]]:
        """What was proposed."""
        return self.read(self.topics.proposals, "proposal")

    def changes(self) -> list[dict[str, Any]]:
        """What became of the threshold."""
        return self.read(self.topics.conviction, "conviction_change")

    def letters(self) -> list[dict[str, Any]]:
        """What was refused."""
        return self.read(self.topics.dead_letters(self.topics.alert_results), "dead_letter")

    def taken(self) -> int:
        """How many results have been taken, as the last standing says. Nothing is sent in transactions here."""
        rows = [each for each in self.read_state() if each["kind"] == "standing"]
        return sum(each["next_offset"] for each in rows[-1]["positions"]) if rows else 0

    def read_state(self) -> list[dict[str, Any]]:
        """All rows of the state but tombstones."""
        decoder = Decoder(SCHEMAS, "conviction_state")
        found = read_whole(self.settings.broker, self.topics.conviction_state)
        return [decoder.decode(each.value, each.headers) for each in found if each.value is not None]

    def until(self, is_so: Callable[[], Any], what: str) -> None:
        """Wait for what another process does."""
        deadline = time.monotonic() + PATIENCE_S
        while not is_so():
            assert time.monotonic() < deadline, f"in vain: {what}"
            time.sleep(LOOK_AGAIN_S)

    def results(self) -> Results:
        """What stands on `alert-results`, read by itself."""
        decoder = Decoder(SCHEMAS, "result")
        found: dict[int, list[tuple[int, Any]]] = {}
        for each in read_whole(self.settings.broker, self.topics.alert_results):
            decoded = decoded_result(each, decoder, PARTITIONS)
            found.setdefault(each.partition, []).append((each.offset, None if isinstance(decoded, Reason) else decoded))
        return found

    def audit(self) -> None:
        """Hold all that came out against the oracle."""
        results, changes = self.results(), self.changes()
        assert problems(results, changes, self.proposals()) == []
        letters = [(each["partition"], each["offset"], each["reason"]) for each in self.letters()]
        assert sorted(letters) == sorted(expected(results, changes).refused)


class Process:
    """One process that proposes."""

    def __init__(self, ground: Ground, number: int, plan: str, *, drain: bool) -> None:
        self.log, self.told = ground.folder / f"{number}.log", ground.folder / f"{number}.out"
        command = [sys.executable, "-m", "tests.trader.proposals_worker", str(ground.policy)]
        environment = {**environment_of(ground.settings), PLAN: plan, DRAIN: str(int(drain))}
        with self.log.open("wb") as log, self.told.open("wb") as out:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=log
            )

    def ended(self) -> int:
        """Wait until it has ended, and say how."""
        return self.process.wait(PATIENCE_S)

    def stop(self) -> int:
        """Ask it to end."""
        self.process.terminate()
        return self.ended()

    @property
    def has_ended(self) -> bool:
        """Whether it is gone."""
        return self.process.poll() is not None

    @property
    def is_frozen(self) -> bool:
        """Whether it has frozen itself."""
        flags = os.WSTOPPED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.process.pid, flags) is not None

    def said(self, words: str) -> bool:
        """Whether its log has these words."""
        return words in self.log.read_text(errors="replace")
