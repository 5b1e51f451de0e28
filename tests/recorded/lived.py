"""A day that workers have lived through: changes of all kinds while ticks flow, a worker killed, shards moved."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
from click.testing import CliRunner, Result

from bench import reference
from bench.kafka_answer import ends_of, execution_of, records_behind
from bench.kafka_ground import Place, import_strategies, make_topics, tickgate
from bench.kafka_worker import Worker
from streams.cli import main
from streams.core.events import Mode, Status, Strategy
from streams.kafka.codec import Encoder
from streams.kafka.registry import FileSchemas
from streams.kafka.strategy_records import record_of
from tests.worker.inputs import Feed, Given, Hand, positions

Row = tuple[str, str, int, str]
"""Strategy, ticker, bucket, mode."""

ENCODER: Final = Encoder(FileSchemas(), ["strategy_change", "clock"])


class Lived:
    """A place, and what is done there."""

    def __init__(self, place: Place, work: reference.Workload) -> None:
        self.place, self.work, self.feed = place, work, Feed(place, work)
        make_topics(place, done)  # within this process: to start one takes longer than what it does
        import_strategies(place, work.strategies, done)
        self._changes = Hand(place, place.topics.strategy_changes)
        self._clock = Hand(place, place.topics.clock)

    def change(self, strategy: Strategy) -> None:
        """Send a version."""
        value = ENCODER.encode("strategy_change", record_of(strategy, 0))
        self._changes.send(Given(strategy.strategy_id.encode(), value))

    def tombstone(self, strategy_id: str) -> None:
        self._changes.send(Given(strategy_id.encode(), None))

    def clock(self, ts_ms: int, *partitions: int) -> None:
        for partition in partitions:
            self._clock.send(Given(None, ENCODER.encode("clock", {"ts": ts_ms}), partition))

    def executions(self) -> list[dict[str, Any]]:
        """What a read_committed consumer gets."""
        place = self.place
        return [execution_of(v) for _, v in records_behind(place.ground.bootstrap, place.topics.alert_executions, {})]


def rows_of(executions: list[dict[str, Any]]) -> Counter[Row]:
    """What they run; no ticker: the whole universe."""
    return Counter(
        (each["strategy_id"], ticker, each["bucket_ms"], each["mode"])
        for each in executions
        for ticker in each["tickers"] or [""]
    )


def live_a_day(place: Place, work: reference.Workload) -> Lived:
    """Two workers; changes, flags, clock; one is killed, another comes, a last one works off the rest."""
    day = Lived(place, work)
    first, second, third, fourth, fifth = work.strategies[:5]
    day.feed.send(0.1)
    with ExitStack() as running:
        one, two = (running.enter_context(Worker(place, name)) for name in ("one", "two"))
        for worker in (one, two):
            worker.wait_until(lambda each: bool(each.partitions()), "owning a shard")
        day.feed.send(0.3)
        wait_until_done_by(one, two, place)
        day.change(replace(first, version=2, status=Status.PAUSED))
        day.change(replace(second, version=2, universe=frozenset(sorted(second.universe)[::2])))
        day.change(Strategy("everything", "1s"))
        day.change(Strategy("together", "1s", third.universe, mode=Mode.LEGACY))
        day.feed.send(0.5)
        tickgate(place, "flags", "set", "per_ticker_throttle", "false", "--percentage", "30")
        day.change(replace(first, version=3))
        day.tombstone(fourth.strategy_id)
        day.feed.send(0.6)
        one.kill()
        running.enter_context(Worker(place, "three"))
        day.change(replace(fifth, version=2, universe=frozenset()))
        day.feed.send(0.8)
        tickgate(place, "flags", "set", "per_ticker_throttle", "unset", "--percentage", "30")
        day.feed.send(1.0)
        day.clock(int(work.when[-1]) + 180_000, 0, 1, 2, 3)
    tickgate(place, "worker", "--drain")
    return day


def wait_until_done_by(one: Worker, two: Worker, place: Place) -> None:
    """Until the two have decided all that is there; whoever owns it."""
    ends = ends_of(place.ground.bootstrap, place.topics.ticks)
    one.wait_until(lambda _: {**positions(one), **positions(two)} == ends, f"at the ends, {ends}")


def invoked(place: Place, *arguments: str) -> Result:
    """One command, within this process."""
    return CliRunner(env=place.environment(os.environ)).invoke(main, arguments)


def done(place: Place, *arguments: str) -> None:
    """One command, that must do its work."""
    result = invoked(place, *arguments)
    assert result.exit_code == 0, result.output


def replayed(folder: Path) -> Iterator[Row]:
    """What fired in a replay."""
    for row in pq.read_table(folder / "executions.parquet").to_pylist():
        yield row["strategy_id"], row["ticker"], row["bucket_ms"], row["mode"]
