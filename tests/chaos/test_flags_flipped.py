"""A flag is flipped thirty times while two workers decide four shards, and modes and universes are edited between.

`CHAOS_FLIPS=100` flips it a hundred times. The audit then knows every turn that was decided, and holds the oracle of
each shard to them.
"""

import os
import uuid
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from streams.core.events import Mode, Status, Strategy
from streams.core.flags import PER_TICKER_THROTTLE, Control
from streams.kafka.codec import Encoder
from streams.kafka.control_records import key_of, record_of
from streams.kafka.registry import FileSchemas
from streams.kafka.strategy_records import record_of as strategy_record
from streams.reference_data import load_conditions
from streams.settings import Settings
from streams.topic_names import CONTROLS
from tests.chaos.audit import assert_exact, audit, triples
from tests.chaos.journal import read_journal
from tests.chaos.market import CHANGES, Market, Sent
from tests.chaos.processes import Progress, Worker
from tests.chaos.rig import Sender, inputs, make_topics
from tests.kafka.shared_broker import SharedBroker

SHARDS = 4
FLIPS = int(os.environ.get("CHAOS_FLIPS", "30"))
BURST = 120
MOST_LAG = 60
HANGS_S = 60.0
ENCODER = Encoder(FileSchemas(), ["control", "strategy_change"])


class Flipping:
    """The market, and who flips."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.market = settings, Market(seed=11, tickers=80, strategies=24)
        make_topics(settings.broker, settings.topics, SHARDS)
        self.sender = Sender(settings.broker)
        self.send(self.market.opening())
        self.folder = folder

    def send(self, records: list[Sent]) -> None:
        self.sender.send(inputs(self.settings.topics, records))
        self.sender.flush()

    def flip(self, number: int) -> list[Sent]:
        """The flag for all; and one strategy that asks for another mode, or empties its universe."""
        control = Control(PER_TICKER_THROTTLE, bool(number % 2))
        records = [Sent(CONTROLS, key_of(control), ENCODER.encode("control", record_of(control, self.market.now_ms)))]
        old = self.market.standing[self.market.pick.choice(self.market.ids)]
        if old.status is Status.ACTIVE:
            mode = Mode.LEGACY if old.mode is not Mode.LEGACY else None
            universe = frozenset(self.market.pick.sample(self.market.tickers, 5)) if not old.universe else frozenset()
            new = replace(old, version=old.version + 1, mode=mode)
            records.append(self.version(new if number % 3 else replace(new, universe=universe)))
        return records

    def version(self, strategy: Strategy) -> Sent:
        self.market.standing[strategy.strategy_id] = strategy
        value = ENCODER.encode("strategy_change", strategy_record(strategy, self.market.now_ms))
        return Sent(CHANGES, strategy.strategy_id.encode(), value)

    def run(self) -> None:
        """Two workers, thirty flips, each while there are ticks to decide; then all that is left."""
        progress = Progress(self.settings, SHARDS)
        workers = [Worker(f"flags-{n}", self.settings, self.folder, None, drain=False) for n in range(2)]
        try:
            for number in range(FLIPS):
                self.send([*self.market.ticks(BURST // 2), *self.flip(number), *self.market.ticks(BURST // 2)])
                with progress.changed:
                    assert progress.changed.wait_for(lambda: self.lag(progress) < MOST_LAG, HANGS_S), said(workers)
        finally:
            progress.stop()
            for worker in workers:
                worker.process.terminate()
                worker.process.wait(HANGS_S)
        last = Worker("flags-last", self.settings, self.folder, None, drain=True)
        assert last.process.wait(HANGS_S) == 0, last.last_words()

    def lag(self, progress: Progress) -> int:
        return progress.lag(self.sender.ends, self.settings.topics.ticks)


def said(workers: list[Worker]) -> str:
    return "\n".join(worker.last_words() for worker in workers)


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
def test_a_flag_that_is_flipped_in_mid_stream_loses_and_repeats_nothing(
    real_broker: SharedBroker, tmp_path: Path, guarantee: str
) -> None:
    settings = Settings(
        broker=real_broker.bootstrap,
        topic_prefix=f"{uuid.uuid4().hex[:6]}.",
        processing_guarantee=guarantee,
        web_port=0,
        fetch_max_wait_ms=20,
    )
    Flipping(settings, tmp_path).run()
    report = audit(settings)
    assert_exact(report)
    assert (report.left, report.repeats) == (0, 0)
    journal = read_journal(settings.broker, settings.topics, load_conditions())
    assert sum(len(turns) - 1 for turns in journal.turns.values()) > 2 * FLIPS
    ways = Counter(bool(ticker) for each in journal.executions for _, ticker, _ in triples(each))
    assert min(ways[True], ways[False]) > FLIPS
