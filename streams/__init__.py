"""Tickgate: ticks in, alert executions out, once per strategy, ticker and time bucket."""

from typing import Final

from streams import kernel_cache

__version__: Final = "0.1.0"

kernel_cache.use()  # the one thing that importing does: see there
