"""How long a product list stays fresh: long while the market is quiet, short while it is volatile. Pure.

Volatility is a number from 0 to 1. It rises at once with what has changed from one list to the next, and halves with
each list that brought less. Nothing is known before the second list: the level is in the middle, and the time to live
is the one that is set. Whoever knows better says so.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from streams.universes.products import Product

UNKNOWN: Final = 0.5
"""The level at which the time to live is the one that is set."""

VOLATILE_SHARE: Final = 0.05
"""With so many of the products new, gone, or in another status, the market is as volatile as can be."""

CALM: Final = 1 / 32
"""Lower levels count as none."""


class Lifetime(NamedTuple):
    """The bounds, and the time to live where nothing is known; 0 turns all of it off."""

    base_ms: int
    quiet_ms: int
    volatile_ms: int

    def at(self, level: float) -> int:
        """The time to live at a level: straight from the quiet one to the one that is set, and on to the volatile."""
        if not self.base_ms:
            return 0
        longest, shortest = max(self.quiet_ms, self.base_ms), min(self.volatile_ms, self.base_ms)
        if level < UNKNOWN:
            return round(longest + (self.base_ms - longest) * level / UNKNOWN)
        return round(self.base_ms + (shortest - self.base_ms) * (level - UNKNOWN) / (1 - UNKNOWN))


def changed_share(before: Mapping[str, Product], after: Mapping[str, Product]) -> float:
    """How many of the products are new, gone, or in another status. Prices and volumes don't count."""
    most = max(len(before), len(after))
    if not most:
        return 0.0
    moved = sum(_state(product) != _state(after[key]) for key, product in before.items() if key in after)
    return min(1.0, (len(before.keys() ^ after.keys()) + moved) / most)


def next_level(level: float, share: float) -> float:
    """The level behind a list of which this share has changed."""
    fallen = level / 2 if level / 2 >= CALM else 0.0
    return max(min(1.0, share / VOLATILE_SHARE), fallen)


def _state(product: Product) -> tuple[str, bool]:
    return product.status, product.tradable
