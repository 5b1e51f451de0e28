"""Results and proposals on a real broker become the metrics of those who trade."""

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.kafka.codec import Encoder
from streams.kafka.registry import FileSchemas
from streams.settings import Settings
from streams.trader import following
from streams.trader.activity import HOUR_MS
from streams.trader.exporter import PrometheusExporter
from streams.trader.following import Following
from tests.kafka.shared_broker import SharedBroker

SCHEMAS = FileSchemas()
ENCODER = Encoder(SCHEMAS, ["result", "proposal"])
NOW_MS = 1_760_000_000_000
PATIENCE_S = 120
"""A process that is the first to compile the kernel takes a while on a busy machine."""


class Ground:
    """Topics of its own, and who follows them."""

    def __init__(self, broker: SharedBroker) -> None:
        self.settings = Settings(broker=broker.bootstrap, topic_prefix=f"{uuid.uuid4().hex[:8]}.")
        self.topics = self.settings.topics
        self.exporter = PrometheusExporter()
        self.moment_ms = 0
        self.following = Following(self.settings, SCHEMAS, self.exporter, lambda: self.moment_ms)

    def make_topics(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.settings.broker})
        config = {"retention.ms": "-1"}
        wanted = [NewTopic(name, 2, 1, config=config) for name in (self.topics.alert_results, self.topics.proposals)]
        for made in admin.create_topics(wanted).values():
            made.result(30)

    def send(self, topic: str, value: bytes, ts_ms: int) -> None:
        producer = Producer({"bootstrap.servers": self.settings.broker, "log_level": 0})
        producer.produce(topic, key=b"s1", value=value, timestamp=ts_ms)
        assert producer.flush(30) == 0

    def result(self, number: int, ts_ms: int, triggers: int = 0, fills: int = 0) -> None:
        trigger = {"ticker": "A", "conviction": 0.5}
        fill = {"proposal_id": "p", "ticker": "A", "ts": ts_ms, "side": "buy", "price": 1.0, "quantity": 1.0}
        told = {"execution_id": f"e{number}", "strategy_id": "s1", "strategy_version": 1, "bucket_ms": 0, "ts": ts_ms}
        told |= {"status": "ok", "triggers": [trigger] * triggers}
        told |= {"fills": [{**fill, "fill_id": f"f{number}-{each}"} for each in range(fills)]}
        self.send(self.topics.alert_results, ENCODER.encode("result", told), ts_ms)

    def proposal(self, number: int, ts_ms: int) -> None:
        told = {"proposal_id": f"p{number}", "execution_id": "e", "strategy_id": "s1", "strategy_version": 1}
        told |= {"ticker": "A", "bucket_ms": 0, "ts": ts_ms, "conviction": 0.5, "min_conviction": 0.28}
        self.send(self.topics.proposals, ENCODER.encode("proposal", told), ts_ms)

    def shown(self, name: str) -> float | None:
        self.following.refresh()
        return self.exporter.registry.get_sample_value(f"trader_{name}")

    async def until(self, is_so: Callable[[], Any]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not is_so():  # what comes over the network has no event to wait for here
                await asyncio.to_thread(time.sleep, 0.05)


@pytest.fixture
def ground(real_broker: SharedBroker) -> Ground:
    return Ground(real_broker)


def test_an_hour_back_is_known_at_once_and_what_comes_is_counted(ground: Ground) -> None:
    ground.make_topics()
    ground.result(1, NOW_MS - 2 * HOUR_MS, fills=5)
    ground.result(2, NOW_MS - 60_000, fills=2)

    async def main() -> None:
        task = asyncio.create_task(ground.following.run(NOW_MS))
        await ground.until(lambda: ground.shown("trades_per_hour") == 2)
        assert ground.shown("trades_total") == 0, "they are not of this process"
        await asyncio.to_thread(ground.send, ground.topics.alert_results, b"no result", NOW_MS)
        await asyncio.to_thread(ground.result, 3, NOW_MS, 10, 1)
        await asyncio.to_thread(ground.result, 3, NOW_MS, 10, 1)
        for number in range(3):
            await asyncio.to_thread(ground.proposal, number, NOW_MS)
        await ground.until(lambda: ground.following._activity._proposals == 3)
        await ground.until(lambda: ground.shown("trades_total") == 1)
        assert ground.shown("trades_per_hour") == 3
        ground.following.end_cycle()
        names = ("triggers_detected", "proposals_generated", "triggers_to_proposals_ratio")
        assert [ground.shown(name) for name in names] == [10, 3, 0.3]
        ground.following.end_cycle()
        assert [ground.shown(name) for name in names] == [0, 0, 0]
        ground.moment_ms += HOUR_MS
        assert ground.shown("trades_per_hour") == 0
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


def test_topics_that_are_not_there_are_waited_for(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(following, "AGAIN_S", 0.05)

    async def main() -> None:
        task = asyncio.create_task(ground.following.run(NOW_MS))
        await ground.until(lambda: "run `tickgate topics apply`" in caplog.text)
        await asyncio.to_thread(ground.make_topics)
        await asyncio.to_thread(ground.result, 1, NOW_MS, 0, 1)
        await ground.until(lambda: ground.shown("trades_per_hour") == 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
