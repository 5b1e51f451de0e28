"""The audit of the demonstration equals the oracle, and sees whatever is lost, repeated or made up."""

from collections import Counter
from importlib.util import find_spec

import pytest

from streams.core.events import Tick
from streams.core.oracle import Oracle
from streams.demo.audit import Given, Pair, audited, expected_pairs, pairs_of, shards_of
from streams.feeds.encoded_ticks import TickEncoder
from streams.feeds.sender import crc32_of
from streams.feeds.synthetic import CONDITIONS, PART_TICKS, Plan, parts, ticker_names
from streams.feeds.synthetic_strategies import made_up_strategies
from streams.kafka.partitions import Homes
from streams.reference_data import load_conditions

PLAN = Plan(1_772_461_800_000, rate=9_000, seconds=3, tickers=60, speed=60, opening_s=0.5)
NAMES = ticker_names(60)
STRATEGIES = made_up_strategies(50, NAMES, 7, sessions=find_spec("exchange_calendars") is not None)
TICKS = PART_TICKS + 5_000
"""Not all of the plan, and not whole parts of it."""


def given(partitions: int = 4, ticks: int = TICKS) -> Given:
    return Given(PLAN, ticks, STRATEGIES, partitions)


def fired_by_oracle(partitions: int) -> set[Pair]:
    """One oracle a partition, each with the tickers and the whole strategies that belong to it."""
    oracles = [Oracle(load_conditions()) for _ in range(partitions)]
    homes, left = Homes(partitions), TICKS
    pairs: set[Pair] = set()
    for partition, oracle in enumerate(oracles):
        for strategy in STRATEGIES:
            oracle.change(strategy)
        oracle.whole = {each for each in oracle.whole if homes[each] == partition}
    for part in parts(PLAN):
        for ticker, ts_ms, price, size, conditions in zip(*(column.tolist() for column in part), strict=True):
            if left:
                left -= 1
                tick = Tick(NAMES[ticker], ts_ms, price, size, CONDITIONS[conditions])
                fires = oracles[homes[tick.ticker]].tick(tick)
                pairs.update(Pair(fire.strategy_id, fire.ticker, fire.bucket_ms) for fire in fires)
    return pairs


@pytest.mark.parametrize("partitions", [1, 4])
def test_what_must_fire_is_what_the_oracle_fires(partitions: int) -> None:
    expected = list(expected_pairs(given(partitions), shards_of(given(partitions))))
    assert len(expected) == len(set(expected)) > 1_000
    assert set(expected) == fired_by_oracle(partitions)
    assert any(not pair.ticker for pair in expected)


def crc32(ticks: int = TICKS) -> str:
    return crc32_of(PLAN, TickEncoder(NAMES), ticks)


def test_all_of_it_once_passes() -> None:
    audit = audited(given(), crc32(), Counter(expected_pairs(given(), shards_of(given()))))
    assert audit.passed
    assert str(audit) == f"lost 0, repeated 0, of {audit.expected:,} pairs"


def test_a_pair_that_is_missing_is_lost() -> None:
    fired = Counter(expected_pairs(given(), shards_of(given())))
    del fired[next(iter(fired))]
    audit = audited(given(), crc32(), fired)
    assert (audit.lost, audit.repeated, audit.unexpected, audit.passed) == (1, 0, 0, False)


def test_a_pair_that_fired_three_times_is_repeated_twice() -> None:
    fired = Counter(expected_pairs(given(), shards_of(given())))
    fired[next(iter(fired))] += 2
    audit = audited(given(), crc32(), fired)
    assert (audit.lost, audit.repeated, audit.unexpected, audit.passed) == (0, 2, 0, False)
    assert str(audit).startswith("lost 0, repeated 2, of ")


def test_a_pair_that_must_not_fire_is_told() -> None:
    fired = Counter(expected_pairs(given(), shards_of(given())))
    fired[Pair("s00001", "NONE", 0)] = 1
    audit = audited(given(), crc32(), fired)
    assert (audit.lost, audit.repeated, audit.unexpected, audit.passed) == (0, 0, 1, False)
    assert "not expected 1" in str(audit)


def test_what_a_clock_record_fires_behind_the_ticks_may_be_there_or_not_and_no_more() -> None:
    shards = shards_of(given())
    fired = Counter(expected_pairs(given(), shards))
    time_ms = max(shard.stream_ms for shard in shards) + 60_000
    by_clock = [
        Pair(each.strategy_id, "", each.bucket_ms) for shard in shards for each in shard.named(shard.clock(time_ms))
    ]
    assert by_clock
    clocked = given()._replace(clock=[(partition, time_ms) for partition in range(4)])
    assert audited(clocked, crc32(), fired).passed
    fired.update(by_clock)
    assert audited(clocked, crc32(), fired).passed
    assert audited(given(), crc32(), fired).unexpected == len(by_clock)


def test_other_ticks_than_those_of_the_plan_do_not_pass() -> None:
    audit = audited(given(), crc32(TICKS - 1), Counter(expected_pairs(given(), shards_of(given()))))
    assert (audit.same_ticks, audit.passed) == (False, False)
    assert "not those of the plan" in str(audit)


def test_an_execution_is_a_pair_for_each_ticker_or_one_for_all() -> None:
    execution = {"strategy_id": "s", "bucket_ms": 60_000, "tickers": ["A", "B"], "scope": "tickers"}
    assert pairs_of(execution) == [Pair("s", "A", 60_000), Pair("s", "B", 60_000)]
    assert pairs_of({**execution, "tickers": [], "scope": "universe"}) == [Pair("s", "", 60_000)]
