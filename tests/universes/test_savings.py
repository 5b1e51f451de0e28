"""What a kept list saves, on a real HTTP server whose limit bites: the figures that were promised of old.

A cycle is five builds, one for each rule, and a list has ten pages: 50 calls without a cache, 10 with one, against a
limit of 60 in a minute. Time passes by the hand-moved clock, for the server too.
"""

import asyncio
from statistics import median
from time import perf_counter
from typing import NamedTuple

from streams.universes.http_products import ENDPOINT
from streams.universes.lifetimes import Lifetime
from streams.universes.manager import UniverseManager
from streams.universes.rate_limit import Limit
from streams.universes.rules import Rule
from tests.universes.exchange import Exchange, many
from tests.universes.stage import LIFETIME, MINUTE_MS, Clock, manager, over_http, pacer

LIMIT = Limit(60, MINUTE_MS)
RULES = [Rule(f"top {top}", ("s1",), frozenset({"USD"}), top=top) for top in (10, 20, 50, 100, 200)]
OFF = LIFETIME._replace(base_ms=0)
CYCLES = 6


class Cycled(NamedTuple):
    """What one cycle cost."""

    calls: int
    used_pct: float
    """By our limiter,"""
    counted_pct: float
    """and as the exchange counts."""


async def build_all(made: UniverseManager) -> None:
    for rule in RULES:
        assert len((await made.build(rule)).tickers) == rule.top


def cycles(exchange: Exchange, lifetime: Lifetime, limit: Limit = LIMIT, allowed: int = LIMIT.calls) -> list[Cycled]:
    """Six cycles, one a minute; `limit` is what we know of the exchange's, `allowed` what that grants."""
    clock = Clock()
    exchange.entries, exchange.now_ms = many(480), clock.now_ms
    exchange.calls_allowed, exchange.window_ms = allowed, LIMIT.window_ms
    exchange.forget()

    async def main() -> list[Cycled]:
        paced, found = pacer(clock, limit, most_wait_ms=2 * MINUTE_MS), []
        async with over_http(exchange, paced) as source:
            made = manager(source, clock, lifetime)
            for _ in range(CYCLES):
                before = len(exchange.asked)
                await build_all(made)
                calls = len(exchange.asked) - before
                found.append(Cycled(calls, paced.utilisations()[ENDPOINT], exchange.utilisation_pct()))
                clock.ms += MINUTE_MS
        return found

    return asyncio.run(main())


def test_without_a_cache_a_cycle_takes_fifty_calls_and_most_of_the_limit(exchange: Exchange) -> None:
    for each in cycles(exchange, OFF):
        assert each.calls == 50
        assert 80 <= each.used_pct <= 100
        assert each.used_pct == each.counted_pct


def test_with_one_it_takes_ten_and_less_than_a_fifth(exchange: Exchange) -> None:
    found = cycles(exchange, LIFETIME)
    assert [each.calls for each in found] == [10, 0, 0, 0, 0, 10]
    assert all(each.used_pct == each.counted_pct < 20 for each in found)
    assert exchange.refusals == 0


def test_who_does_not_know_the_limit_runs_into_it_without_a_cache_and_not_with_one(exchange: Exchange) -> None:
    unaware = Limit(10_000, MINUTE_MS)
    assert cycles(exchange, LIFETIME, unaware, allowed=40)[0].calls == 10
    assert exchange.refusals == 0
    found = cycles(exchange, OFF, unaware, allowed=40)
    assert exchange.refusals == CYCLES, "one in each, waited for as long as it was told"
    assert [each.calls for each in found] == [51] * CYCLES


def test_builds_on_a_hit_are_three_times_as_fast_and_more(exchange: Exchange) -> None:
    exchange.entries = many(480)

    async def main() -> tuple[float, float]:
        clock, taken = Clock(), dict[bool, list[float]]({True: [], False: []})
        async with over_http(exchange, pacer(clock)) as source:
            made = manager(source, clock)
            for _ in range(5):
                made.invalidate()
                for hit in (False, True):
                    began = perf_counter()
                    await made.build(RULES[2])
                    taken[hit].append(perf_counter() - began)
        return median(taken[False]), median(taken[True])

    missed_s, hit_s = asyncio.run(main())
    assert missed_s > 3 * hit_s
