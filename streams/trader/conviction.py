"""Which triggers become proposals, and how the threshold moves with what came of them. Pure.

A trigger becomes a proposal where its conviction is the threshold at least. The threshold is the policy's. Where the
policy asks for it, it moves with the trades that were closed: after so many of them it rises by a step where too few
won, and falls by one where most won and they made money together, within bounds. Each look is an event, `Moved`, that
says why.

Decide returns the event, `fold` takes it: so whoever reads the fills and the events again comes to the same threshold.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from streams.errors import shortened

DIGITS: Final = 6
"""Thresholds are rounded to so many, so that steps up and down come back to where they began."""


class Adjusting(NamedTuple):
    """How the threshold moves."""

    trades: int = 20
    """Closed trades between two looks."""
    step: float = 0.01
    least: float = 0.2
    most: float = 0.5
    tighten_below: float = 0.4
    """With a lower share of winners the threshold rises,"""
    loosen_above: float = 0.6
    """with a higher one it falls."""


class Policy(NamedTuple):
    """What the file says."""

    min_conviction: float = 0.28
    adjusting: Adjusting | None = None


class Standing(NamedTuple):
    """The threshold, and the trades since it was looked at last."""

    base: float
    """The policy's, from which it began."""
    threshold: float
    wins: int = 0
    losses: int = 0
    even: int = 0
    profit: float = 0.0

    @property
    def closed(self) -> int:
        """Trades that were closed."""
        return self.wins + self.losses + self.even


class Moved(NamedTuple):
    """The threshold has been looked at, and is another one, or the same: the trades are counted anew."""

    base: float
    before: float
    after: float
    reason: str


class Sorted(NamedTuple):
    """What became of the triggers of one result."""

    proposals: list[dict[str, Any]]
    """Records as `schemas/proposal.avsc` has them."""
    below: int
    """Triggers whose conviction was too low."""
    repeated: int
    """Triggers of a ticker of which a stronger one was there."""
    refused: list[str]
    """What cannot be a trigger, and why."""


def first(policy: Policy) -> Standing:
    """Where it begins."""
    return Standing(policy.min_conviction, policy.min_conviction)


def sort(result: Mapping[str, Any], threshold: float) -> Sorted:
    """Make proposals of the triggers of a decoded result. Of each ticker the strongest trigger counts, once."""
    strongest: dict[str, Mapping[str, Any]] = {}
    refused, below, repeated = [], 0, 0
    for trigger in result["triggers"]:
        problem = wrong_with(trigger)
        if problem:
            refused.append(problem)
        elif trigger["conviction"] < threshold:
            below += 1
        else:
            other = strongest.get(trigger["ticker"])
            repeated += other is not None
            if other is None or trigger["conviction"] > other["conviction"]:
                strongest[trigger["ticker"]] = trigger
    return Sorted([_proposal(result, each, threshold) for each in strongest.values()], below, repeated, refused)


def wrong_with(trigger: Mapping[str, Any]) -> str:
    """Why it can be no trigger; empty where it can."""
    if not trigger["ticker"]:
        return "a trigger names no ticker; name one"
    conviction = trigger["conviction"]
    if not 0 <= conviction <= 1:  # nor is what is no number
        return f"the conviction {conviction} for {shortened(trigger['ticker'])} is not from 0 to 1; send one that is"
    return ""


def _proposal(result: Mapping[str, Any], trigger: Mapping[str, Any], threshold: float) -> dict[str, Any]:
    copied = {name: result[name] for name in ("execution_id", "strategy_id", "strategy_version", "bucket_ms", "ts")}
    found = {name: trigger[name] for name in ("ticker", "conviction", "side", "price", "reason")}
    proposal_id = f"{result['execution_id']}/{trigger['ticker']}"
    return {"proposal_id": proposal_id, **copied, **found, "min_conviction": threshold}


def closed(standing: Standing, profits: Iterable[float]) -> Standing:
    """Count trades that were closed, by what each made; those that only opened a position are none."""
    wins, losses, even, total = standing.wins, standing.losses, standing.even, standing.profit
    for profit in profits:
        if not math.isfinite(profit):
            continue  # nobody can say whether it won
        wins, losses, even = wins + (profit > 0), losses + (profit < 0), even + (profit == 0)
        total += profit
    return standing._replace(wins=wins, losses=losses, even=even, profit=total)


def decide(standing: Standing, policy: Policy) -> Moved | None:
    """Whether the threshold is to be looked at, and what it is then."""
    if standing.base != policy.min_conviction:
        reason = f"the policy says {policy.min_conviction:g}, it said {standing.base:g}"
        return Moved(policy.min_conviction, standing.threshold, policy.min_conviction, reason)
    adjusting = policy.adjusting
    if adjusting is None:
        if standing.threshold == standing.base:
            return None
        return Moved(standing.base, standing.threshold, standing.base, "the policy asks for no adjustment any more")
    if standing.closed < adjusting.trades:
        return None
    wanted, why = _wanted(standing, adjusting)
    after = round(min(max(wanted, adjusting.least), adjusting.most), DIGITS)
    bound = "" if after == round(wanted, DIGITS) else f", within {adjusting.least:g} to {adjusting.most:g}"
    return Moved(standing.base, standing.threshold, after, f"{_told(standing)}: {why}{bound}")


def fold(moved: Moved) -> Standing:
    """The standing behind an event: trades are counted anew."""
    return Standing(moved.base, moved.after)


def _wanted(standing: Standing, adjusting: Adjusting) -> tuple[float, str]:
    """The threshold by the trades alone, and why."""
    decided = standing.wins + standing.losses
    if not decided:
        return standing.threshold, "it stays, as none has won or lost"
    share = standing.wins / decided
    if share < adjusting.tighten_below:
        return standing.threshold + adjusting.step, f"it rises, as less than {adjusting.tighten_below:.0%} won"
    if share <= adjusting.loosen_above:
        return standing.threshold, "it stays"
    if standing.profit <= 0:
        return standing.threshold, "it stays, as they made no money together"
    return standing.threshold - adjusting.step, f"it falls, as more than {adjusting.loosen_above:.0%} won"


def _told(standing: Standing) -> str:
    return f"{standing.wins} of {standing.closed} trades won, {standing.losses} lost, profit {standing.profit:g}"
