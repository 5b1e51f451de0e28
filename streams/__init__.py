"""Tickgate: ticks in, alert executions out, once per strategy, ticker and time bucket."""

from typing import Final

__version__: Final = "0.1.0"
