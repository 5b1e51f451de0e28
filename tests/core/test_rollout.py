"""What shadows have seen together, and when a roll-out may not go on."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.limits import NEVER
from streams.core.rollout import (
    HOUR_MS,
    MOST_NAMED,
    Bounds,
    Report,
    alerts,
    as_told,
    judge,
    read_report,
    throttles,
    together,
)
from streams.core.shadow import ShadowCounts

COUNTS = ShadowCounts(both=2_000, late=10, opened=40, old_runs=50, old_tickers=6_000, seen=90_000)
BEGAN_MS = 1_760_000_000_000


def report(
    shard: int = 0, *, hours: float = 25, counts: ShadowCounts = COUNTS, missed: dict[str, int] | None = None
) -> Report:
    until_ms = BEGAN_MS + int(hours * HOUR_MS)
    return Report(shard, BEGAN_MS, until_ms, 100_000, 7, 0, counts, missed or {})


def refusals(*reports: Report, bounds: Bounds | None = None) -> list[str]:
    return [each.why for each in judge(together(reports, 2), bounds or Bounds())]


def test_two_shards_that_have_seen_enough_and_missed_nothing_may_go_on() -> None:
    assert refusals(report(0), report(1)) == []


@pytest.mark.parametrize(
    ("counts", "word", "is_grave"),
    [
        (COUNTS._replace(only_old=1), "1 alerts would be missed", True),
        (COUNTS._replace(both=400), "800 alerts were seen", False),
        (COUNTS._replace(old_tickers=1_999), "-0.1% of the tickers would not be run", True),
        (COUNTS._replace(old_tickers=3_000_000), "99.9% of the tickers would not be run", True),
        (COUNTS._replace(unjudged_late=30), "60 alerts could not be judged", False),
        (COUNTS._replace(unjudged_run=30), "60 alerts could not be judged", False),
    ],
)
def test_each_bound_is_kept_and_named(counts: ShadowCounts, word: str, is_grave: bool) -> None:
    other = report(1, counts=counts._replace(only_old=0))
    (found,) = judge(together([report(0, counts=counts), other], 2), Bounds())
    assert found.why.startswith(word)
    assert found.is_grave == is_grave


def test_bounds_are_given_by_who_asks() -> None:
    missed = report(0, counts=COUNTS._replace(only_old=3), missed={"s1": 3})
    assert refusals(missed, report(1), bounds=Bounds(most_missed=3)) == []
    (refused,) = refusals(missed, report(1), bounds=Bounds(most_missed=2))
    assert "s1 3" in refused


def test_the_shard_that_has_seen_least_counts() -> None:
    (refused,) = refusals(report(0), report(1, hours=23.5))
    assert refused.startswith("23.50 hours were seen of the shard that has seen least, 24 are needed")
    nothing = Report(1, NEVER, NEVER, 0, 0, 0, ShadowCounts(), {})
    assert refusals(report(0), nothing)[-1].startswith("0.00 hours were seen")


def test_a_shard_that_nobody_tells_of_has_seen_nothing() -> None:
    first, second = refusals(report(1))
    assert first.startswith("nothing is known of shards 0;")
    assert second.startswith("0.00 hours")


def test_strategies_that_are_not_compared_hold_it_up() -> None:
    (refused,) = refusals(report(0)._replace(left_out=3), report(1)._replace(left_out=2))
    assert refused.startswith("3 strategies are too many")


def test_nothing_at_all_may_not_go_on() -> None:
    assert [each.why.partition(" ")[0] for each in judge(together([], 0), Bounds())] == ["0", "0.00"]


def test_of_a_shard_that_is_told_of_twice_what_began_last_counts() -> None:
    fresh = report(0, counts=ShadowCounts(both=1))._replace(since_ms=BEGAN_MS + 1)
    for order in ([report(0), fresh], [fresh, report(0)]):
        assert together(order, 1).counts.both == 1


def test_the_strategies_with_the_most_missed_alerts_are_named() -> None:
    many = {f"s{i:03}": 1 for i in range(MOST_NAMED + 5)}
    seen = together([report(0, missed={**many, "worst": 2}), report(1, missed={"worst": 2})], 2)
    assert seen.missed["worst"] == 4
    assert len(seen.missed) == MOST_NAMED
    assert next(iter(seen.missed)) == "worst"


def test_what_each_throttle_did_and_what_is_saved() -> None:
    counts = ShadowCounts(both=10, only_new=2, unjudged_run=1, late=4, no_bucket=3, opened=5, seen=100)
    seen = together([report(counts=counts._replace(old_runs=6, old_tickers=26, only_old=1))], 1)
    old, new = throttles(seen.counts)
    assert (old.runs, old.tickers, old.skips) == (6, 26, {"bucket_dup": 92, "no_bucket": 3})
    assert (new.runs, new.tickers, new.skips) == (13, 13, {"bucket_dup": 80, "late": 4, "no_bucket": 3})
    assert alerts(seen.counts) == {"both": 10, "only_new": 2, "only_old": 1, "unjudged": 1}
    assert (seen.saved_ratio, seen.old_skip_ratio, seen.new_skip_ratio) == (0.5, 0.95, 0.87)


def test_nothing_seen_has_no_ratio_and_divides_nothing() -> None:
    seen = together([], 0)
    assert (seen.saved_ratio, seen.old_skip_ratio, seen.new_skip_ratio) == (0, 0, 0)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 1 << 40), min_size=11, max_size=11))),
)
def test_a_report_comes_through_json_as_it_was(parts: list[tuple[int, list[int]]]) -> None:
    for shard, numbers in parts:
        for since_ms in (BEGAN_MS, NEVER):
            until_ms = since_ms if since_ms == NEVER else since_ms + 5
            sent = Report(shard, since_ms, until_ms, 3, 2, 1, ShadowCounts(*numbers), {"ß": 1})
            assert read_report(json.loads(json.dumps(as_told(sent)))) == sent


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        {},
        {**as_told(report()), "counts": {"both": 1, "unknown": 2}},
        {**as_told(report()), "counts": None},
        {**as_told(report()), "ticks": "3"},
        {**as_told(report()), "ticks": True},
        {**as_told(report()), "missed": {"s1": "x"}},
        {key: value for key, value in as_told(report()).items() if key != "shard"},
    ],
)
def test_what_is_no_report_is_refused(told: object) -> None:
    with pytest.raises(ValueError, match="it is no report"):
        read_report(told)
