"""Stretches of a worker's way beside a Redis that is well or in trouble, and what may be said of them."""

from typing import Final, NamedTuple

from bench.kafka_ground import RunError
from bench.kafka_summary import Spread, cost_of_other, spread

COST_BOUND: Final = 0.05
EQUAL_BOUND_S: Final = 10.0


class Slice(NamedTuple):
    """One stretch."""

    troubled: bool
    rate: float
    processor_us: float
    """Of the worker's, for each tick."""
    equal_s: float
    """From the return of Redis, or from its begin, until the view was equal to what the tables were then."""

    def __str__(self) -> str:
        """In words."""
        which = "in trouble" if self.troubled else "well"
        rates = f"{self.rate:,.0f} ticks/s, {self.processor_us:.2f} µs of processor a tick"
        return f"{which}: {rates}, equal after {self.equal_s:.2f} s"


def costs(slices: list[Slice]) -> Spread:
    """What part of the rate the trouble costs, by pairs of neighbours."""
    found = cost_of_other([(each.troubled, each.rate) for each in slices])
    if found is None:
        raise RunError("the backlog was over before there were two slices; it needs more ticks")
    return found


def described(name: str, slices: list[Slice]) -> list[str]:
    """The lines of one trouble."""
    cost, pairs = costs(slices), len(slices) // 2
    well, ill = ([each for each in slices if each.troubled is kind] for kind in (False, True))
    rates = f"{_median(well, 'rate') / 1e3:,.0f} thousand ticks/s while well, {_median(ill, 'rate') / 1e3:,.0f} with it"
    less = f"costs {cost.median:.1%} ({cost.least:.1%} to {cost.most:.1%}) in {pairs} pairs (bound {COST_BOUND:.0%})"
    equal_s, lag_s = max(each.equal_s for each in ill), _median(well, "equal_s")
    equal = f"equal {equal_s:.1f} s after its return at most (bound {EQUAL_BOUND_S:.0f}; {lag_s:.1f} behind while well)"
    work = f"{_median(well, 'processor_us'):.2f} and {_median(ill, 'processor_us'):.2f} µs of the worker's processor"
    return [f"  {name}: {rates}: {less}; executions the same", f"    {equal}; {work} a tick"]


def _median(slices: list[Slice], what: str) -> float:
    found = spread([getattr(each, what) for each in slices])
    assert found is not None, "there is one at least"
    return found.median
