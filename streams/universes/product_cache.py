"""The product list that is known, and whether it is fresh, too old, or may still stand in for one that fails. Pure."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from streams.universes.lifetimes import UNKNOWN, Lifetime, changed_share, next_level
from streams.universes.limits import FIRST_PAUSE_MS, LAST_PAUSE_MS, LEAST_SHARE, TIMES_ASKED
from streams.universes.products import Listing, Product, SourceError, usable


class Seen(StrEnum):
    """What came of a look."""

    HIT = "hit"
    MISS = "miss"
    """There is no list, or none is to be kept."""
    EXPIRED = "expired"


class Known(NamedTuple):
    """A list, and when it was fetched."""

    products: Sequence[Product]
    fetched_ms: int


class ProductCache:
    """One exchange's list."""

    def __init__(self, lifetime: Lifetime, stale_ms: int) -> None:
        self.lifetime, self.stale_ms = lifetime, stale_ms
        self.level = UNKNOWN
        """How volatile the market is, by the lists."""
        self.said_level: float | None = None
        """The same, where somebody has said it."""
        self._known: Known | None = None
        self._is_invalid = False
        self._failures = self._again_ms = self._times_short = 0

    @property
    def ttl_ms(self) -> int:
        """How long a list stays fresh now."""
        return self.lifetime.at(self.level if self.said_level is None else self.said_level)

    @property
    def is_first(self) -> bool:
        """Whether nothing is known, so that a fetch cannot wait."""
        return self._known is None

    def look(self, now_ms: int) -> tuple[Seen, Known | None]:
        """The list where it is fresh, and else why there is none."""
        if self._known is None or not self.ttl_ms:
            return Seen.MISS, None
        if self._is_invalid or now_ms - self._known.fetched_ms >= self.ttl_ms:
            return Seen.EXPIRED, None
        return Seen.HIT, self._known

    def invalidate(self) -> None:
        """Whatever is known counts as too old. It still stands in for a list that fails."""
        self._is_invalid = True

    def pause_ms(self, now_ms: int) -> int:
        """How long nothing is to be asked, since it failed."""
        return max(0, self._again_ms - now_ms)

    def stand_in(self, now_ms: int) -> Known | None:
        """The list that may be used though it is no longer fresh; None where it is too old for that."""
        if self._known is None or now_ms - self._known.fetched_ms > self.stale_ms:
            return None
        return self._known

    def take(self, listing: Listing, now_ms: int) -> Known:
        """Keep a list that was fetched; raises `SourceError` where it is not believed, and keeps the one before."""
        products = tuple(usable(listing).products)
        self._doubt(len(products))
        fresh = {each.product_id: each for each in products}
        if self._known is not None:
            before = {each.product_id: each for each in self._known.products}
            self.level = next_level(self.level, changed_share(before, fresh))
        self._known = Known(products, now_ms)
        self._is_invalid = False
        self._failures = self._again_ms = self._times_short = 0
        return self._known

    def failed(self, now_ms: int, retry_after_ms: int | None) -> None:
        """A fetch has failed: nothing is asked for a while, longer each time."""
        pause_ms = min(FIRST_PAUSE_MS << min(self._failures, 30), LAST_PAUSE_MS)
        self._failures += 1
        self._again_ms = now_ms + (pause_ms if retry_after_ms is None else retry_after_ms)

    def _doubt(self, count: int) -> None:
        """Half a list may be half an answer: it is believed when it keeps coming."""
        before = 0 if self._known is None else len(self._known.products)
        if count >= LEAST_SHARE * before:
            return
        self._times_short += 1
        if self._times_short < TIMES_ASKED:
            problem = f"the list has {count} products, where the last one had {before}"
            remedy = f"it is believed when it comes so {TIMES_ASKED} times in a row"
            raise SourceError(problem, f"{remedy}; this was the {self._times_short}.")
