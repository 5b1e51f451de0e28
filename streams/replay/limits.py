"""Every bound of a replay, by name. What goes past one is refused with its name, never cut short."""

from typing import Final

MAX_TICK_FILES: Final = 10_000
"""Tick files of one replay: more than 25 years by day."""

MAX_MERGED_FILES: Final = 64
"""Files that hold ticks of one time; of each a chunk is in memory."""

MAX_GAPS_NAMED: Final = 5
"""Days without a file that are named; how many more there were is said."""

MAX_VARIANTS: Final = 1_000
"""Variants of one what-if file."""
