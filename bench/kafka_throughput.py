"""The whole path on a real broker, beside the peers: from the first tick fetched to the last commit.

Ticks lie on their topic before the first run. The candidates take turns, one at a time, each round from another
beginning. The slow peers get fewer ticks, or a round would take ten minutes. A run with a wrong answer has no rate.
"""

from typing import Final

from bench.kafka_candidates import GUARANTEES, TICKGATE, Candidate, Field, field
from bench.kafka_ground import RunError, real_broker, say
from bench.kafka_summary import Round, Spread, price, rates_of, rotated, times_as_fast
from streams.kafka.brokers import NoBrokerError

FEW_TICKS: Final = 100_000
BOUNDS: Final = {"Kafka Streams": " (bound 3, aim 10)"}
NAME_WIDTH: Final = 40
PAIRS_FOR_PRICE: Final = 4
"""Rounds of both guarantees alone for each round of all: single runs lie a fifth apart, on a machine that is shared."""


def report(seed: int, ticks: int, rounds: int) -> list[str]:
    """Run everyone in turn, and say it in lines."""
    try:
        with real_broker() as ground:
            say(f"loading {ticks:,} ticks, and having the peers ready")
            entered = field(ground, seed, ticks, min(ticks, FEW_TICKS))
            done, failures = run_rounds(entered.candidates, rounds)
            ours = [each for each in entered.candidates if each.family == TICKGATE]
            pairs, more = run_rounds(ours, PAIRS_FOR_PRICE * rounds, first=rounds)
            failures |= {name: [*failures.get(name, ()), *why] for name, why in more.items()}
            head = f"kafka: {ticks:,} ticks, seed {seed}, {rounds} rounds, {ground.kind}; thousand ticks/s"
    except NoBrokerError as why:
        return [f"kafka: not measured: {why}"]
    return [head, *table(entered, done, failures), *comparisons(entered.candidates, done, pairs)]


def run_rounds(candidates: list[Candidate], rounds: int, first: int = 0) -> tuple[list[Round], dict[str, list[str]]]:
    """The rates of each round, and by name what went wrong."""
    by_name = {each.name: each for each in candidates}
    done: list[Round] = []
    failures: dict[str, list[str]] = {}
    for number in range(first, first + rounds):
        rates: dict[str, float] = {}
        for name in rotated(list(by_name), number):
            try:
                rates[name] = by_name[name].run(number)
                say(f"round {number + 1} of {first + rounds}: {name}: {rates[name]:,.0f} ticks/s")
            except RunError as why:
                failures.setdefault(name, []).append(str(why))
                say(f"round {number + 1} of {first + rounds}: {name}: {why}")
        done.append(rates)
    return done, failures


def table(entered: Field, done: list[Round], failures: dict[str, list[str]]) -> list[str]:
    """A line for each candidate, also for one that could not take part."""
    lines = []
    for each in entered.candidates:
        found = rates_of(done, each.name)
        rate = f"{in_thousands(found)}  of {each.ticks:,} ticks" if found else "no rate"
        lines.append(f"  {each.name:{NAME_WIDTH}} {rate}")
        lines += [f"    failed: {why}" for why in failures.get(each.name, [])]
    return [*lines, *(f"  {name}: not to be had here: {why}" for name, why in entered.missing.items())]


def comparisons(candidates: list[Candidate], done: list[Round], pairs: list[Round]) -> list[str]:
    """What may be said: ratios within rounds, guarantee by guarantee, and the price of exactly once."""
    lines = []
    for guarantee in GUARANTEES:
        families: dict[str, list[str]] = {}
        for each in candidates:
            if each.guarantee == guarantee:
                families.setdefault(each.family, []).append(each.name)
        (mine,) = families.pop(TICKGATE)
        for family, variants in families.items():
            found = times_as_fast(done, mine, variants)
            best = ", the better of its runs" if len(variants) > 1 else ""
            times = f"{found.median:.1f} times ({found.least:.1f} to {found.most:.1f})" if found else "no ratio"
            lines.append(f"  {guarantee} against {family}{best}: {times}{BOUNDS.get(family, '')}")
    dear, cheap = (f"{TICKGATE} {each}" for each in reversed(GUARANTEES))
    cost = price(pairs, dear, cheap)
    said = f"{cost.median:.0%} of the rate ({cost.least:.0%} to {cost.most:.0%})" if cost else "unknown"
    return [*lines, f"  exactly once costs {said} in {len(pairs)} rounds of these two alone (bound 15%)"]


def in_thousands(found: Spread) -> str:
    """A rate with its spread."""
    return f"{found.median / 1e3:9,.1f}  ({found.least / 1e3:,.1f} to {found.most / 1e3:,.1f})"
