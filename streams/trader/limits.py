"""Every bound of what is remembered of trading, by name."""

from typing import Final

MAX_FILLS_KEPT: Final = 1 << 20
"""Trades of one hour that are told apart; beyond, the oldest are forgotten."""

MAX_RESULTS_KEPT: Final = 1 << 17
"""Results and proposals that are told apart from their repeats; beyond, the oldest are forgotten."""
