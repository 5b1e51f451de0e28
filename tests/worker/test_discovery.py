"""What is reported on `alert-results` becomes the universe, for the next ticks; what is wrong disturbs nobody."""

import asyncio
import signal
import struct
from collections.abc import Iterator

from bench.kafka_answer import pairs_of_executions, records_behind
from bench.kafka_ground import PARTITIONS, Place, import_strategies, make_topics
from bench.kafka_worker import Worker
from streams.consumer import Execution, Report, run
from streams.core.events import Status, Strategy
from streams.core.limits import MAX_UNIVERSE
from streams.kafka.codec import Encoder
from streams.kafka.registry import FileSchemas
from streams.kafka.strategy_records import record_of
from streams.settings import Settings
from tests.core.avro_bytes import framed, tick
from tests.worker.inputs import At, Given, Hand, letters
from tests.worker.reports import INTERVAL_MS, START_MS, Reporter, universe, value, wait_for

MINUTE_MS = 60_000
RESULT_PARTITIONS = 8


def send_tick(hand: Hand, ticker: str, ts_ms: int) -> None:
    hand.send(Given(ticker.encode(), tick(ticker.encode(), ts_ms)))


def fired(place: Place) -> set[tuple[str, str, int]]:
    return set(pairs_of_executions(records_behind(place.ground.bootstrap, place.topics.alert_executions, {})))


def test_what_a_strategy_function_reports_is_in_force_for_the_next_ticks(place: Place) -> None:
    make_topics(place)
    import_strategies(place, [Strategy("s", "1m", frozenset({"A", "B"}))])
    ticks, reported = Hand(place, place.topics.ticks), [["B", "C"]]

    async def function(execution: Execution) -> Report:
        return Report(reported[-1])

    async def story(worker: Worker) -> None:
        settings = Settings(broker=place.ground.bootstrap, topic_prefix=place.prefix)
        running = asyncio.create_task(run(function, settings, "runners"))

        async def until(version: int, tickers: list[str]) -> None:
            waiting = asyncio.create_task(asyncio.to_thread(wait_for, worker, "s", version, tickers))
            await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
            assert waiting.done(), running
            await waiting

        send_tick(ticks, "A", START_MS)
        await until(2, ["B", "C"])
        for ticker in ("A", "C"):
            send_tick(ticks, ticker, START_MS + MINUTE_MS)
        await asyncio.to_thread(worker.wait_until, lambda _: len(fired(place)) > 1, "fired for the new ticker")
        reported.append(["C", "D"])
        send_tick(ticks, "C", START_MS + 2 * MINUTE_MS)
        await until(3, ["C", "D"])
        signal.raise_signal(signal.SIGTERM)
        await running

    with Worker(place) as worker:
        worker.wait_until_ready(PARTITIONS)
        asyncio.run(story(worker))
        assert worker.metric("universe_discoveries_total") == [2]
    buckets = [(ticker, (bucket - START_MS) // MINUTE_MS) for _, ticker, bucket in fired(place)]
    assert sorted(buckets) == [("A", 0), ("C", 1), ("C", 2)]


FIRST = Strategy("first", "5m", frozenset({"A"}))


def hostile(good: bytes) -> Iterator[tuple[str, Given]]:
    """Each with the word for why it is refused."""
    key = b"first"
    yield "null_value", Given(key, None)
    yield "truncated", Given(key, b"")
    yield "truncated", Given(key, good[:-1])
    yield "wrong_magic", Given(key, b"\x01" + good[1:])
    yield "unknown_schema_id", Given(key, framed(good[5:], 77))
    yield "trailing_bytes", Given(key, good + b"x")
    yield "too_large", Given(key, good + bytes(1 << 20))
    yield "bad_key", Given(None, good)
    yield "bad_key", Given(b"\xff", good)
    yield "other_key", Given(b"second", good)
    yield "unknown_strategy", Given(b"nobody", value("nobody", ["B"]))
    yield "unknown_strategy", Given(b"no\xc2\xa0body", value("no\u00a0body", []))
    yield "deleted_strategy", Given(b"deleted", value("deleted", ["B"]))
    yield "unknown_strategy", Given(b"gone", value("gone", ["B"]))
    yield "unknown_version", Given(key, value("first", ["B"], version=9))
    yield "unknown_version", Given(key, value("first", ["B"], version=0))
    yield "unknown_version", Given(key, value("first", ["B"], version=-(1 << 62)))
    yield "ts_out_of_range", Given(key, value("first", ["B"], ts_ms=START_MS * 1_000_000))
    yield "ts_out_of_range", Given(key, value("first", ["B"], ts_ms=-1))
    yield "bad_symbol", Given(key, value("first", ["B", ""]))
    yield "bad_symbol", Given(key, value("first", ["B", "L" * 65]))
    yield "too_many_symbols", Given(key, value("first", [f"{k:x}" for k in range(MAX_UNIVERSE + 1)]))
    yield "bad_status", Given(key, value("first", ["B"], status="fine"))
    yield "bad_length", Given(key, good[:5] + struct.pack("B", 1))


def harmless() -> Iterator[tuple[bytes, list[str], dict[str, object]]]:
    """What changes nothing, and is no mistake."""
    yield b"first", ["B"], {"status": "failed"}
    yield b"first", ["B"], {"status": "skipped"}
    yield b"first", [], {}
    yield b"first", ["A"], {}
    yield b"first", ["A", "A"], {}
    yield b"all", ["A", "B"], {}
    yield b"edited", ["B"], {}


def test_hostile_results_get_a_dead_letter_each_and_disturb_nobody(place: Place) -> None:
    make_topics(place)
    edited = Strategy("edited", "5m", frozenset({"A"}))
    gone = Strategy("gone", "5m", frozenset({"A"}))
    import_strategies(place, [FIRST, edited, gone, Strategy("all", "5m"), Strategy("good", "5m", frozenset({"A"}))])
    import_strategies(place, [Strategy("edited", "5m", frozenset({"A", "Z"}), version=2)])
    import_strategies(place, [Strategy("gone", "5m", frozenset({"A"}), Status.DELETED, version=2)])  # with a tombstone
    deleted = record_of(Strategy("deleted", "5m", frozenset({"A"}), Status.DELETED, version=2), START_MS)
    without_tombstone = Given(
        b"deleted", Encoder(FileSchemas(), ["strategy_change"]).encode("strategy_change", deleted)
    )
    Hand(place, place.topics.strategy_changes).send(without_tombstone)
    reporter, refused, ticks = Reporter(place), dict[At, str](), Hand(place, place.topics.ticks)
    with Worker(place) as worker:
        worker.wait_until_ready(PARTITIONS)
        for word, given in hostile(value("first", ["B"])):
            refused[reporter.hand.send(given)] = word
        astray = (reporter.report("first", ["A"]).partition + 1) % RESULT_PARTITIONS
        refused[reporter.hand.send(Given(b"first", value("first", ["B"]), astray))] = "wrong_partition"
        for key, symbols, more in harmless():
            reporter.report(key.decode(), symbols, **more)
        reporter.report("good", ["B", "new"])
        wait_for(worker, "good", 2, ["B", "new"])
        topic = place.topics.alert_results
        worker.wait_until(lambda _: len(letters(place, topic)) >= len(refused), f"done with {len(refused)}")
        send_tick(ticks, "A", START_MS)
        pairs = {(name, "A", START_MS) for name in ("first", "edited")}
        worker.wait_until(lambda _: pairs <= fired(place), "firing")
        reporter.report("first", ["A", "last"])
        wait_for(worker, "first", 2, ["A", "last"])
        assert worker.readiness()["ready"]
        assert universe(worker, "edited") == (2, ["A", "Z"])
        assert universe(worker, "all") == (1, [])
        assert worker.metric("tickgate_lag_records")
    found = letters(place, place.topics.alert_results)
    assert sorted((each.at, each.fields["reason"]) for each in found) == sorted(refused.items())
    assert all(each.fields["detail"] and each.fields["remedy"] for each in found)
    assert letters(place, place.topics.strategy_changes) == []


def test_a_worker_that_is_killed_loses_no_report(place: Place) -> None:
    make_topics(place)
    import_strategies(place, [Strategy(name, "5m", frozenset({"A"})) for name in ("held", "later", "clock")])
    reporter = Reporter(place)
    with Worker(place, "killed") as worker:
        worker.wait_until_ready(PARTITIONS)
        reporter.report("held", ["A", "B"])
        wait_for(worker, "held", 2, ["A", "B"])
        reporter.report("held", ["A", "B", "C"], ts_ms=START_MS + 1)
        worker.wait_until(is_holding, "holding the second report")
        worker.kill()
    reporter.report("later", ["D"])
    with Worker(place, "next") as worker:
        worker.wait_until_ready(PARTITIONS)
        wait_for(worker, "later", 2, ["D"])
        assert universe(worker, "held") == (2, ["A", "B"])
        reporter.report("held", ["A", "B", "C"], version=2, ts_ms=START_MS + INTERVAL_MS - 1)
        assert universe(worker, "held") == (2, ["A", "B"])
        reporter.report("held", [], version=2, ts_ms=START_MS + INTERVAL_MS)
        wait_for(worker, "held", 3, ["A", "B", "C"])
    assert letters(place, place.topics.alert_results) == []


def is_holding(worker: Worker) -> bool:
    """Whether the metrics say that a report is held: it is the only outcome beside the change."""
    return len(worker.metric("tickgate_discovery_reports_total")) == 2


def test_two_workers_share_the_results_and_each_report_counts_once(place: Place) -> None:
    names = [f"s{k}" for k in range(40)]
    make_topics(place)
    import_strategies(place, [Strategy(name, "5m", frozenset({"A"})) for name in names])
    reporter = Reporter(place)
    with Worker(place, "one") as one, Worker(place, "two") as two:
        one.wait_until(lambda _: one.partitions() | two.partitions() == set(range(PARTITIONS)), "sharing")
        two.wait_until(lambda _: bool(one.partitions() and two.partitions()), "sharing")
        for name in names[:20]:
            reporter.report(name, ["A", name])
        for worker in (one, two):
            for name in names[:20]:
                wait_for(worker, name, 2, sorted(["A", name]))
        made = [worker.metric("universe_discoveries_total")[0] for worker in (one, two)]
        assert sum(made) == 20
        assert all(made), "both have some"
        two.kill()
        for name in names[20:]:
            reporter.report(name, ["A", name])
        for name in names:
            wait_for(one, name, 2, sorted(["A", name]))
    assert letters(place, place.topics.alert_results) == letters(place, place.topics.strategy_changes) == []
