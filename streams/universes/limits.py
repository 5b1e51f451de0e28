"""Every bound of the product list and what is made of it, by name. What goes past one is refused with its name."""

from typing import Final

MAX_PRODUCTS: Final = 100_000
"""Products of one list: as many as a universe may hold."""

MAX_PAGES: Final = 1_000
MAX_PAGE_BYTES: Final = 16 << 20
"""One answer of the exchange."""

MAX_BAD_SHARE: Final = 0.1
"""Entries of a list that cannot be read; with more of them the whole list is refused, for it has changed its form."""

LEAST_SHARE: Final = 0.5
"""A list shorter than this share of the one before is not believed at once."""
TIMES_ASKED: Final = 3
"""So often in a row it must come, before it is."""

MAX_REFUSALS: Final = 3
"""Answers of 429 that one fetch of the list waits for and tries again."""

MAX_RETRY_AFTER_MS: Final = 3_600_000
"""The longest pause that an exchange may ask for."""

FIRST_PAUSE_MS: Final = 1_000
LAST_PAUSE_MS: Final = 60_000
"""After a failed fetch nothing is asked for so long; the pause doubles from the first to the last."""

MAX_CALLS: Final = 100_000
"""Calls of one endpoint within its window: each is remembered for as long as the window lasts."""

MAX_RULES: Final = 1_000
MAX_RULE_STRATEGIES: Final = 10_000
"""Strategies that one rule names."""
