"""Every bound of what is remembered of trading, by name."""

from typing import Final

MAX_FILLS_KEPT: Final = 1 << 20
"""Trades of one hour that are told apart; beyond, the oldest are forgotten."""

MAX_RESULTS_KEPT: Final = 1 << 17
"""Results and proposals that are told apart from their repeats; beyond, the oldest are forgotten."""

MAX_ID_BYTES: Final = 512
"""Of the id of an execution or a fill, in UTF-8."""

MAX_TICKERS_JUDGED: Final = 10_000
"""Of one execution: tickers whose triggers are judged. With their names and the ids of fills they fit into a row."""

MAX_FILLS_COUNTED: Final = 1_000
"""Of one execution."""
