"""The test kit decides as a worker does: over random histories it says what the oracle says; and it speaks plainly."""

import random
from collections import defaultdict
from datetime import UTC, datetime

import pytest

from streams.consumer import Execution, Report, Trigger
from streams.core.events import Clock, Mode, Status, Strategy, Tick
from streams.core.oracle import Oracle
from streams.reference_data import load_conditions
from streams.testkit import Driver

TEN = 1_732_528_800_000
"""2024-11-25 10:00 UTC."""


def flat(executions: list[Execution]) -> set[tuple[str, int, str]]:
    return {
        (execution.strategy_id, execution.bucket_ms, ticker)
        for execution in executions
        for ticker in execution.tickers or ("",)
    }


@pytest.mark.parametrize("seed", range(6))
def test_it_fires_what_the_oracle_fires(seed: int) -> None:
    draw = random.Random(seed)
    driver, oracle = Driver(), Oracle(load_conditions())
    versions: defaultdict[str, int] = defaultdict(int)
    tickers, now_ms = [f"T{at}" for at in range(8)], TEN
    fired = 0
    for _ in range(300):
        kind = draw.random()
        if kind < 0.08:
            sid = draw.choice(["s1", "s2", "s3", "s4"])
            versions[sid] += 1
            universe = frozenset(draw.sample(tickers, 3)) if draw.random() < 0.85 else frozenset()
            change = Strategy(
                sid,
                draw.choice(["1m", "5m"]),
                universe,
                version=versions[sid],
                mode=draw.choice([None, Mode.LEGACY]) if universe else None,
            )
            driver.change(change)
            oracle.change(change)
            continue
        now_ms += draw.randrange(20_000)
        if kind < 0.15:
            expected, found = oracle.clock(Clock(now_ms)), driver.move_to(now_ms)
        else:
            ticks = [
                Tick(draw.choice(tickers), now_ms - draw.randrange(90_000), conditions=draw.choice([(), (37,), (14,)]))
                for _ in range(draw.randrange(1, 5))
            ]
            expected, found = [fire for tick in ticks for fire in oracle.tick(tick)], driver.ticks(ticks)
        assert flat(found) == {(fire.strategy_id, fire.bucket_ms, fire.ticker) for fire in expected}
        assert len({(execution.strategy_id, execution.bucket_ms) for execution in found}) == len(found)
        fired += len(found)
    assert fired > 50
    assert driver.now_ms == oracle.stream_ms
    assert len(driver.executions) == fired
    for sid in oracle.counts_of:
        for reason in ("fired", "late", "no_bucket"):
            assert driver.counts(sid)[reason] == oracle.counts_of[sid][reason]


def test_a_bucket_runs_once_and_time_moves_by_hand() -> None:
    driver = Driver()
    driver.strategy("s1", "5m", ["AAPL", "MSFT"])
    (execution,) = driver.tick("AAPL", at="2024-11-25 10:00:01")
    assert (execution.strategy_id, execution.bucket_ms, execution.tickers) == ("s1", TEN, ("AAPL",))
    assert (execution.timeframe, execution.mode, execution.ts_ms) == ("5m", "per_ticker", TEN + 1_000)
    assert driver.tick("AAPL", at="2024-11-25T10:04:59.999Z") == []
    assert driver.advance(seconds=1) == []
    assert driver.now_ms == TEN + 300_999
    (again,) = driver.tick("AAPL")
    assert again.bucket_ms == TEN + 300_000
    assert driver.tick("NVDA", at=datetime(2024, 11, 25, 10, 6, tzinfo=UTC)) == []
    assert driver.counts("s1") == {"fired": 2, "bucket_dup": 1, "late": 0, "no_bucket": 0}


def test_a_trade_that_may_not_move_the_price_changes_nothing() -> None:
    driver = Driver()
    driver.strategy("s1", "1m", ["A"])
    assert driver.tick("A", at=TEN, conditions=[37]) == []
    assert driver.now_ms is None
    assert len(driver.tick("A", at=TEN, conditions=[14])) == 1


def test_what_fires_together_goes_out_together() -> None:
    driver = Driver()
    driver.strategy("s1", "1m", ["A", "B"])
    (execution,) = driver.ticks([Tick("A", TEN), Tick("B", TEN + 5), Tick("A", TEN + 9)])
    assert execution.tickers == ("A", "B")
    assert (execution.cause.first_offset, execution.cause.last_offset) == (0, 1)


def test_a_window_gathers_until_its_time_has_come() -> None:
    driver = Driver(coalesce_ms=1_000)
    driver.strategy("s1", "1m", ["A", "B"])
    assert driver.tick("A", at=TEN) == []
    assert driver.tick("B", at=TEN + 400) == []
    (execution,) = driver.advance(milliseconds=600)
    assert execution.tickers == ("A", "B")


def test_a_change_sends_what_was_gathered_under_the_version_that_fired_it() -> None:
    driver = Driver()
    driver.strategy("s1", "1m", ["A"], coalesce_ms=30_000)
    driver.tick("A", at=TEN)
    driver.strategy("s1", universe=["A", "B"])
    assert [(each.strategy_version, each.tickers) for each in driver.executions] == [(1, ("A",))]


def test_strategies_of_every_ticker_fire_by_the_clock() -> None:
    driver = Driver()
    driver.strategy("all", "1m", "all")
    (execution,) = driver.tick("A", at=TEN)
    assert execution.is_whole_universe
    assert driver.advance(seconds=30) == []
    assert [each.bucket_ms for each in driver.advance(seconds=30)] == [TEN + 60_000]


def test_the_old_throttle_is_a_switch_away() -> None:
    driver = Driver(per_ticker_throttle=False)
    driver.strategy("s1", "1m", ["A", "B"])
    assert [each.mode for each in driver.tick("A", at=TEN)] == ["legacy"]
    assert driver.tick("B") == []


def test_paused_and_active_again_it_does_not_fire_twice() -> None:
    driver = Driver()
    driver.strategy("s1", "5m", ["A"])
    driver.tick("A", at=TEN)
    assert driver.pause("s1").status is Status.PAUSED
    driver.tick("A", at=TEN + 300_000)
    assert driver.activate("s1").version == 3
    assert [each.bucket_ms for each in driver.tick("A", at=TEN + 300_001)] == [TEN + 300_000]
    assert driver.tick("A") == []


def test_a_strategy_function_gets_each_execution_once_and_reports() -> None:
    driver = Driver()
    driver.strategy("s1", "1m", ["A", "B"])

    def mine(execution: Execution) -> Report:
        if "B" in execution.tickers:
            raise ZeroDivisionError("of B")
        return Report(used_symbols=["A"], triggers=[Trigger("A", 0.5)])

    driver.tick("A", at=TEN)
    driver.tick("B")
    good, bad = driver.run(mine)
    assert (good["status"], good["used_symbols"], good["triggers"][0]["conviction"]) == ("ok", ["A"], 0.5)
    assert (bad["status"], bad["error"]) == ("failed", "ZeroDivisionError: of B")
    assert driver.run(mine) == []

    async def later(execution: Execution) -> Report:
        return Report(triggers=[Trigger("A", 7.0)])

    driver.tick("A", at=TEN + 60_000)
    (refused,) = driver.run(later)
    assert "not from 0 to 1" in refused["error"]


def test_what_cannot_be_meant_is_said() -> None:
    driver = Driver()
    with pytest.raises(ValueError, match="give it a timeframe and a universe"):
        driver.strategy("s1", "5m")
    with pytest.raises(ValueError, match="give a list of tickers, or all"):
        driver.strategy("s1", "5m", "AAPL")
    with pytest.raises(ValueError, match="would be skipped"):
        driver.strategy("s1", "5min", ["AAPL"])
    with pytest.raises(ValueError, match="there is no time yet"):
        driver.tick("A")
    with pytest.raises(ValueError, match="it is in ms"):
        driver.tick("A", at=1_732_528_800_000_000)
    driver.strategy("s2", "5m", ["A"])
    with pytest.raises(ValueError, match="not taken"):
        driver.change(Strategy("s2", "1m", frozenset("A")))
