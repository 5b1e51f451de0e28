"""Which strategies get another universe by the rules, and as which version. Pure.

Nothing is changed where the universe is the one that stands. A universe is never emptied: an empty one would stand for
every ticker there is. One that would lose half of its tickers is held, until that has been asked for a few times in a
row: half a list may be half an answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from streams.core.events import Status, Strategy
from streams.core.limits import MAX_REASON_CHARACTERS
from streams.errors import InputError, shortened
from streams.kafka.strategy_topic import edited
from streams.universes.limits import LEAST_SHARE, TIMES_ASKED
from streams.universes.products import Product
from streams.universes.rules import Rule, resolve


class Change(NamedTuple):
    """One version to write, and why."""

    strategy: Strategy
    reason: str


class Problem(NamedTuple):
    """A strategy that keeps the universe that it has, though a rule asks for another."""

    kind: str
    words: str


class Plan(NamedTuple):
    """What is to be written."""

    changes: list[Change]
    problems: list[Problem]


class Doubts:
    """Of each strategy that would lose much, how often in a row that has been asked for."""

    def __init__(self, times_asked: int = TIMES_ASKED) -> None:
        self._times_asked = times_asked
        self._asked: dict[str, int] = {}

    def holds(self, strategy_id: str, now: frozenset[str], wanted: frozenset[str]) -> str:
        """Why it is held; empty where it may be written."""
        if len(now & wanted) >= LEAST_SHARE * len(now):
            self._asked.pop(strategy_id, None)
            return ""
        asked = self._asked[strategy_id] = self._asked.get(strategy_id, 0) + 1
        if asked >= self._times_asked:
            return ""
        kept = f"keeps {len(now & wanted)} of {len(now)} tickers only"
        return f"{kept}; it is written when it has been asked for {self._times_asked} times in a row, or let it shrink"


def plan(rules: Iterable[Rule], standing: Mapping[str, Strategy], products: Sequence[Product], doubts: Doubts) -> Plan:
    """What the rules make of the products, held against what stands."""
    found = Plan([], [])
    for rule in rules:
        for strategy_id in rule.strategies:
            outcome = _one(rule, strategy_id, standing, products, doubts)
            if isinstance(outcome, Change):
                found.changes.append(outcome)
            elif outcome is not None:
                found.problems.append(outcome)
    return found


def _one(
    rule: Rule, strategy_id: str, standing: Mapping[str, Strategy], products: Sequence[Product], doubts: Doubts
) -> Change | Problem | None:
    """The next version of one strategy; None where it stands already."""
    place, now = f"rule {shortened(rule.name)}, strategy {shortened(strategy_id)}", standing.get(strategy_id)
    if now is None or now.status is Status.DELETED:
        return Problem("no_strategy", f"{place}: there is no such strategy; import it, or take it out of the rule")
    wanted = resolve(rule, products, now.universe).tickers
    if not wanted:
        words = f"none of {len(products)} products fits, and an empty universe would stand for every ticker"
        return Problem("empty", f"{place}: {words}; mend the rule, or let it include some")
    held = doubts.holds(strategy_id, now.universe, wanted)
    if held:
        return Problem("held", f"{place}: {held}")
    try:
        versions = edited(standing, [strategy_id], lambda now: replace(now, universe=wanted))
    except InputError as error:
        return Problem("refused", f"{place}: {error}")
    gone, new = len(now.universe - wanted), len(wanted - now.universe)
    reason = f"rule {rule.name}: {len(wanted)} of {len(products)} products, {new} new, {gone} gone"
    return Change(versions[0], reason[:MAX_REASON_CHARACTERS]) if versions else None


def by_reason(changes: Iterable[Change]) -> dict[str, list[Strategy]]:
    """The versions that are written for the same reason, together."""
    found: dict[str, list[Strategy]] = {}
    for change in changes:
        found.setdefault(change.reason, []).append(change.strategy)
    return found
