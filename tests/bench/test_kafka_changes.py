"""Changes that are measured are legal; their times run from when they were sent; ticks are the workload's."""

import numpy as np
import pytest

from bench import kafka_wide, pattern, workload
from bench.kafka_bulk import ticks_as_records
from bench.kafka_changes import Slice, costs
from bench.kafka_churn import KINDS, Churn, SentChange, records_of
from bench.kafka_in_force import Taken, in_force_ms
from bench.kafka_summary import Spread
from streams.core.events import Status, Strategy
from streams.core.lifecycle import Verdict, settle
from streams.kafka.codec import Encoder
from streams.kafka.registry import FileSchemas


def strategies() -> list[Strategy]:
    return [Strategy(f"s{i}", "1m", frozenset(kafka_wide.NAMES[i : i + 100])) for i in range(50)]


def test_every_change_follows_what_stands_and_changes_something() -> None:
    standing, churn = {each.strategy_id: each for each in strategies()}, Churn(3, strategies())
    ended = 0
    for _ in range(100 * len(KINDS)):
        change = churn.next()
        assert settle(standing.get(change.strategy_id), change).verdict is Verdict.ACCEPTED
        standing[change.strategy_id] = change
        if change.status is Status.DELETED:
            ended += 1
            del standing[change.strategy_id]
    assert ended == 100
    assert standing == churn.standing
    assert {len(each.universe) for each in standing.values()} <= set(range(90, 101))


def test_a_deletion_goes_out_with_its_tombstone() -> None:
    encoder = Encoder(FileSchemas(), ["strategy_change"])
    gone, here = Strategy("a", "1m", status=Status.DELETED), Strategy("a", "1m")
    assert [value is None for _, value in records_of(encoder, gone)] == [False, True]
    assert [value is None for _, value in records_of(encoder, here)] == [False]


def test_ticks_in_bulk_are_those_of_the_workload() -> None:
    rng = np.random.default_rng(1)
    who, when = workload.make_ticks(rng, 200, kafka_wide.TICKERS, 3.0, kafka_wide.FIRST_MS)
    records = ticks_as_records(who, when)
    for i, (at, ts_ms) in enumerate(zip(who.tolist(), when.tolist(), strict=True)):
        name = kafka_wide.NAMES[at]
        assert records.key(i) == name.encode()
        assert records.value(i) == workload.encode(name, ts_ms, 100.0)
        assert records.ts_ms[i] == ts_ms


def test_a_change_is_in_force_when_the_last_shard_has_taken_it() -> None:
    sent = [SentChange(0, 7, 10.0), SentChange(1, 7, 10.0), SentChange(0, 8, 10.0)]
    taken = [
        Taken(0, 0, 8, 10.1),
        Taken(1, 0, 7, 10.1),
        Taken(1, 0, 8, 10.25),
        Taken(0, 1, 9, 10.5),
        Taken(1, 1, 8, 10.5),
    ]
    assert in_force_ms(sent, taken, 2).tolist() == pytest.approx([250.0, 500.0, np.inf])


def with_changes(rate: float) -> Slice:
    return Slice(changing=True, rate=rate, per_busy_s=2 * rate)


def without(rate: float) -> Slice:
    return Slice(changing=False, rate=rate, per_busy_s=4 * rate)


def test_the_cost_is_taken_between_neighbours() -> None:
    slices = [without(100.0), with_changes(90.0), with_changes(40.0), without(50.0), without(1.0)]
    by_clock, by_busy = costs(slices)
    assert by_clock == pytest.approx(Spread(0.15, 0.1, 0.2))
    assert by_busy == pytest.approx(Spread(0.575, 0.55, 0.6))


def test_in_a_market_that_is_mostly_quiet_every_pair_with_news_runs_and_windows_take_none_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pattern, "MINUTES", 2)
    market = pattern.made(5)
    assert 0.1 < pattern.share_of_minutes(market) < 0.3
    at_once, gathered = (pattern.hour(market, pattern.shard_of(market, window_ms=each)) for each in (0, 1_000))
    assert at_once.tickers == gathered.tickers == pattern.pairs_with_news(market)
    assert gathered.executions < at_once.executions
