"""Every bound of the core, by name. What goes past one is refused with its name, never cut short."""

from typing import Final

NEVER: Final = -(1 << 62)
"""The bucket of a pair that has not fired, and the due time of a ticker that must be looked at."""

FOREVER: Final = 1 << 62
"""Later than any tick."""

MIN_TS_MS: Final = 0
MAX_TS_MS: Final = 4_102_444_800_000
"""Event times run from 1970-01-01 up to, not including, 2100-01-01 (UTC)."""

MAX_TICKER_BYTES: Final = 64
"""A ticker's length in UTF-8. The longest option symbols have about 25."""

MAX_STRATEGY_ID_BYTES: Final = 256
MAX_TICKERS: Final = 1 << 20
"""Distinct tickers of one shard, seen or in a universe."""

MAX_STRATEGIES: Final = 1 << 20
MAX_UNIVERSE: Final = 100_000
"""Tickers in one strategy's universe."""

MAX_PAIRS: Final = 1 << 26
"""Pairs of one shard, those remembered after leaving a universe included."""

MAX_CONDITION_CODE: Final = 255
MAX_CONDITIONS: Final = 256
"""Condition codes on one tick."""

MAX_VALUE_BYTES: Final = 1 << 20
"""One encoded tick."""

MAX_SCHEMA_DEPTH: Final = 16
"""How deep records, arrays, maps and unions of a writer's schema may nest."""

MAX_SCHEMA_STEPS: Final = 4096
"""Steps of one decode plan."""

MAX_REASON_CHARACTERS: Final = 1_000
"""Why a strategy was changed, for people."""

MAX_CLOCK_AHEAD_MS: Final = 7 * 86_400_000
"""What one clock record may move stream time by: a week.

Long enough for every usual closure of a market, and for a cluster that was down over one. One wrong record closes
buckets for a week at most, and those of pairs not at all: they go by their ticks.
"""

MAX_COALESCE_MS: Final = 60_000

MAX_ASKED_STRATEGIES: Final = 1_000
"""Strategies of one shard of which every decision is told."""

MAX_ASKED_PAIRS: Final = 1 << 20
"""Their pairs, together."""

MAX_TICKERS_NAMED: Final = 1_000
"""What one such decision says of tickers; how many more there were is said."""

MAX_SHADOW_SLOTS: Final = 1 << 20
"""Tickers under a rule that the shadow of one shard holds, at 136 bytes; strategies beyond are not compared."""
MAX_SHADOW_BUCKETS: Final = 6
"""What the shadow remembers of a ticker under a rule: the newest buckets in which it had an update."""
MAX_SHADOW_RUNS: Final = 64
"""What it remembers of a rule: the newest buckets in which strategies would have run as a whole."""

MAX_UNIVERSE_BYTES: Final = MAX_VALUE_BYTES - (1 << 16)
"""Tickers that discovery makes a universe, in UTF-8 with a length before each: they must fit into one record."""

MAX_STRATEGY_HISTORIES: Final = 1_000_000
"""What discovery remembers of one partition of results, in tickers; beyond, what has rested longest is forgotten."""

CALM_REPORTS: Final = 5
"""So many reports in a row are the same, and"""
CALM_INTERVALS: Final = 10
"""for so many of discovery's intervals, before reports that went to and fro count as calm."""

MAX_BACK_MS: Final = 86_400_000
"""A result so far before the last discovery is not held for it: one of the two has a wrong time."""
MAX_TURNS_KEPT: Final = 256
"""Turns of one strategy that are known. One that turns more often within one of its buckets fires no more in that."""

MAX_TURNS_CALLED: Final = 3_000
"""Strategies that shards agree on at once: so many ids, the longest, are one value."""
