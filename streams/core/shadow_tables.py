"""The tables of the shadow, a line for each thing: what is looked at together lies together."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from streams.core.columns import Int32s, Int64s
from streams.core.limits import NEVER

NO_SLOT: Final = -1

ONLY_OLD: Final = 0
UNJUDGED_RUN: Final = 1
UNJUDGED_LATE: Final = 2
LATE: Final = 3
NO_BUCKET: Final = 4
OPENED: Final = 5
ONLY_NEW: Final = 6
BOTH: Final = 7
OUTCOMES: Final = 8
"""What comes of ticks, and stands first in the line of a slot."""
OLD_RUNS: Final = 8
OLD_TICKERS: Final = 9
TOTALS: Final = 10

WATCHERS: Final = OUTCOMES
"""Strategies compared that have the rule and watch the ticker."""
SLOT_FLOOR: Final = OUTCOMES + 1
"""Of this bucket and those before, not all is known in which the ticker had an update."""
UPDATED: Final = OUTCOMES + 2
"""From here on: the newest buckets in which it had one, the newest first."""

FOLLOWING: Final = 0
"""In the other, short line of a slot: the next slot of the same ticker."""
SLOT_RULE: Final = 1
SLOT_TICKER: Final = 2

RULE: Final = 0
"""In the line of a rule that is met here: its number in the shard."""
START_MS: Final = 1
END_MS: Final = 2
BUCKET_MS: Final = 3
"""Of the interval that holds stream time; NEVER where that has none."""
OPENED_BY: Final = 4
"""The number of the record with which stream time came to the newest bucket."""
RUNS: Final = 5
FLOOR_MS: Final = 6
"""Of this bucket and those before, not all are known that stream time was in."""
STRATEGIES: Final = 7
"""Those compared that are at home here."""
PAIRS: Final = 8
"""Pairs of strategies compared, and tickers."""
OPENED_IN: Final = 9
"""The span with which the interval began."""
BEEN: Final = 10
"""From here on: the newest buckets that stream time was in, the newest first."""

FIRST: Final = 0
"""In the line of a ticker: its first slot."""
LOOKED_AT: Final = 1
"""The last span in which it was looked at."""

STREAM_MS: Final = 0
SPAN: Final = 1
SPAN_START: Final = 2
SPAN_END: Final = 3
NOWHERE: Final = 4
"""Rules that have no bucket for stream time. While there are any, each tick is looked at."""
TAKEN: Final = 5
"""Records so far: each has a number."""
SCALARS: Final = 6


class State(NamedTuple):
    """All that the shadow of one shard keeps: tables of tickers, slots and rules; totals; single values."""

    met: Int64s
    links: Int32s
    """Of each slot what leads there. They are short, so that those of many tickers stay at hand."""
    slots: Int64s
    wholes: Int64s
    totals: Int64s
    scalars: Int64s


TICKER: Final = (NO_SLOT, 0)
SLOT: Final = (*(0,) * OUTCOMES, 0, NEVER)
WHOLE: Final = (0, NEVER, NEVER, NEVER, 0, 0, NEVER, 0, 0, 0)
"""How the line of a ticker, a slot, a rule begins."""


def empty_state(buckets: int, runs: int, stream_ms: int) -> State:
    """Without tickers, slots and rules; of each it will keep so many buckets, and runs."""
    scalars = np.zeros(SCALARS, np.int64)
    scalars[STREAM_MS], scalars[SPAN] = stream_ms, 1
    met, slots, wholes = (np.zeros((0, len(line) + room), np.int64) for line, room in sized(buckets, runs))
    return State(met, np.zeros((0, 3), np.int32), slots, wholes, np.zeros(TOTALS, np.int64), scalars)


def sized(buckets: int, runs: int) -> Sequence[tuple[Sequence[int], int]]:
    """How lines begin, and the buckets behind that."""
    return (TICKER, 0), (SLOT, buckets), (WHOLE, runs)


def enlarged(old: Int64s, lines: int, line: Sequence[int]) -> Int64s:
    """The table with more lines: as `line` begins them, and no bucket."""
    new = np.full((lines, old.shape[1]), NEVER, np.int64)
    new[:, : len(line)] = line
    new[: len(old)] = old
    return new


def with_slots(state: State, lines: int) -> State:
    """Room for so many slots."""
    links = np.zeros((lines, state.links.shape[1]), np.int32)
    links[: len(state.links)] = state.links
    return state._replace(slots=enlarged(state.slots, lines, SLOT), links=links)


def by_ticker(state: State, used: int) -> State:
    """The slots of each ticker side by side: they are looked at together, and memory is what a look costs."""
    order = np.argsort(state.links[:used, SLOT_TICKER], kind="stable")
    links, slots, met = state.links.copy(), state.slots.copy(), state.met
    links[:used], slots[:used] = links[order], slots[order]
    ticker = links[:used, SLOT_TICKER]
    links[:used, FOLLOWING] = np.arange(1, used + 1)
    _, firsts, counts = np.unique(ticker, return_index=True, return_counts=True)
    links[firsts + counts - 1, FOLLOWING] = NO_SLOT
    met[ticker[firsts], FIRST] = firsts
    return state._replace(links=links, slots=slots)
