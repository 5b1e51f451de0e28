"""Every bound of a replay, by name. What goes past one is refused with its name, never cut short."""

from typing import Final

MAX_TICK_FILES: Final = 10_000
"""Tick files of one replay: more than 25 years by day."""

MAX_MERGED_FILES: Final = 64
"""Files that hold ticks of one time; of each a chunk is in memory."""

MAX_NAMES_KNOWN: Final = 1 << 20
"""Tickers of a file that are known again wherever they stand; beyond, the reader begins anew."""

MAX_GAPS_NAMED: Final = 5
"""Days without a file that are named; how many more there were is said."""

MAX_VARIANTS: Final = 1_000
"""Variants of one what-if file."""

MAX_COMPARED_ROWS: Final = 1 << 21
"""Executions of both runs that are compared at once, each some 150 bytes; more are compared in parts.

A strategy with more for itself is cut by its buckets, as evenly as they lie.
"""

MAX_VARIANTS_SHOWN: Final = 6
"""Variants of which a report draws a line, and which it holds against the first."""

MAX_REPORT_COMPARED_ROWS: Final = 1 << 23
"""Executions up to which a report compares variants; beyond, it says how to ask for it."""

MAX_TABLE_ROWS: Final = 1_000
MAX_TABLE_BYTES: Final = 300_000
"""Rows of one table of a report, and what they take; how many more there are is said."""

MAX_TIME_BINS: Final = 144
"""Columns of a drawing over time."""

MAX_BARS: Final = 12
"""Strategies or tickers that a drawing names."""

MAX_NAME_SHOWN: Final = 64
"""Characters of an id or a name that a report shows."""

MAX_WARNINGS_SHOWN: Final = 20
