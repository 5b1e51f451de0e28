"""From the rates of each round to what may be said of them: medians, and ratios between runs of one round."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

Round = Mapping[str, float]
"""The rate of each candidate that came through, in ticks a second, by its name."""


class Spread(NamedTuple):
    """The middle of the rounds, and how far they lie apart."""

    median: float
    least: float
    most: float


def spread(values: Sequence[float]) -> Spread | None:
    """Of the values there are; None where there are none."""
    return Spread(median(values), min(values), max(values)) if values else None


def rates_of(rounds: Iterable[Round], name: str) -> Spread | None:
    """What one candidate did."""
    return spread([each[name] for each in rounds if name in each])


def times_as_fast(rounds: Iterable[Round], ours: str, variants: Sequence[str]) -> Spread | None:
    """How many times the peer's rate ours is, round by round; a peer with variants counts with its best of each."""
    ratios = []
    for each in rounds:
        theirs = [each[name] for name in variants if name in each]
        if ours in each and theirs:
            ratios.append(each[ours] / max(theirs))
    return spread(ratios)


def price(rounds: Iterable[Round], dear: str, cheap: str) -> Spread | None:
    """What part of the cheap one's rate the dear one costs, round by round."""
    return spread([1 - each[dear] / each[cheap] for each in rounds if dear in each and cheap in each])


def is_other(number: int) -> bool:
    """Of slices of two kinds in turn, whether one is of the other kind: the one, the other, the other, the one.

    The next four the other way round, and so on: what comes in every fourth slice meets both kinds alike.
    """
    return number.bit_count() % 2 == 1


def cost_of_other(slices: Sequence[tuple[bool, float]]) -> Spread | None:
    """What part of the rate the other kind costs, by pairs of neighbours: of each whether it is such, and its rate."""
    pairs = [sorted(pair) for pair in zip(slices[::2], slices[1::2], strict=False)]
    return spread([1 - other / one for (_, one), (_, other) in pairs])


def rotated(names: Sequence[str], by: int) -> list[str]:
    """The same names from another beginning, so that nobody always runs first, or always after the same one."""
    at = by % len(names)
    return [*names[at:], *names[:at]]
