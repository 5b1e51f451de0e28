"""Builds universes out of an exchange's product list, which it fetches seldom and once for all who wait.

    manager = UniverseManager(source, ProductCache(...), now_ms)
    known = await manager.products()

A list is fetched when the one that is known has become too old. Whoever asks meanwhile waits for the same fetch. One
that fails is answered with the list from before, as long as that is not too old itself; behind a failure nothing is
asked for a while. What came of each look is counted by its outcome.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from streams.universes.product_cache import Known, ProductCache, Seen
from streams.universes.products import Listing, ProductSource, SourceError
from streams.universes.rules import Rule, Universe, resolve

log = logging.getLogger(__name__)

SHARED: Final = "shared"
"""Waited for a fetch that was under way."""
STALE: Final = "stale"
"""Answered with a list that is no longer fresh."""
FAILED: Final = "failed"
"""There was no list to answer with."""
OUTCOMES: Final = (*Seen, SHARED, STALE, FAILED)

AGAIN: Final = "strategies keep the universes that they have; it is asked again"


class Answer(NamedTuple):
    """A list, and what is wrong with it where it is not fresh."""

    known: Known
    trouble: str = ""

    @property
    def is_stale(self) -> bool:
        """Whether it stands in for one that failed."""
        return bool(self.trouble)


class UniverseManager:
    """The universes of one exchange."""

    def __init__(self, source: ProductSource, cache: ProductCache, now_ms: Callable[[], int]) -> None:
        self._source, self._cache, self._now_ms = source, cache, now_ms
        self._fetching: asyncio.Task[Known] | None = None
        self._last_trouble = self._told_trouble = ""
        self.looks: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
        """How often the list was looked for, by what came of it; stale and failed beside it."""
        self.calls = self.failures = 0
        """Requests that lists took, and fetches that failed."""

    @property
    def ttl_ms(self) -> int:
        """How long a list stays fresh at the moment."""
        return self._cache.ttl_ms

    async def products(self) -> Answer:
        """The list; raises `SourceError` where there is none."""
        seen, known = self._cache.look(self._now_ms())
        if known is not None:
            self.looks[seen] += 1
            return Answer(known)
        self.looks[SHARED if self._fetching else seen] += 1
        try:
            return Answer(await self._fetched())
        except SourceError as error:
            return self._stand_in(error)

    async def build(self, rule: Rule, current: frozenset[str] = frozenset()) -> Universe:
        """The universe of a rule; raises `SourceError`. `current` is what the strategy has now."""
        return resolve(rule, (await self.products()).known.products, current)

    def invalidate(self) -> None:
        """The next who asks gets a list that was fetched after this."""
        self._cache.invalidate()
        self._fetching = None  # what is under way was asked before

    def say_volatility(self, level: float | None) -> None:
        """How volatile the market is, from 0 to 1, where somebody knows better than the lists; None: by the lists."""
        if level is not None and not 0 <= level <= 1:
            raise ValueError(f"a volatility of {level} is not from 0 to 1")
        self._cache.said_level = level

    async def _fetched(self) -> Known:
        """Fetch, or wait for the fetch that is under way: who gives up waiting does not end it for the others."""
        pause_ms = self._cache.pause_ms(self._now_ms())
        if self._fetching is None:
            if pause_ms:
                raise SourceError(self._last_trouble, AGAIN, pause_ms)
            self._fetching = asyncio.create_task(self._fetch())
            self._fetching.add_done_callback(self._ended)
        return await asyncio.shield(self._fetching)

    async def _fetch(self) -> Known:
        mine = asyncio.current_task()
        try:
            listing = await self._source.list_products(critical=self._cache.is_first)
            self.calls += listing.calls
            known = self._cache.take(listing, self._now_ms())
        except SourceError as error:
            self._note(error)
            raise
        if self._fetching is not mine:
            self._cache.invalidate()  # somebody wants a list that was asked for later
        self._tell(listing)
        return known

    def _ended(self, task: asyncio.Task[Known]) -> None:
        if self._fetching is task:
            self._fetching = None
        if not task.cancelled():
            task.exception()  # whoever waited has it; nobody may be left

    def _note(self, error: SourceError) -> None:
        """Remember that it failed."""
        self.failures += 1
        self._cache.failed(self._now_ms(), error.retry_after_ms)
        self._last_trouble = error.problem

    def _tell(self, listing: Listing) -> None:
        if self._last_trouble:
            log.info("the product list: it comes again, with %d products", len(listing.products))
        self._last_trouble = self._told_trouble = ""
        if listing.bad:
            log.warning("the product list: %d products cannot be read, first: %s", listing.bad, listing.first_bad)

    def _stand_in(self, error: SourceError) -> Answer:
        """The list from before. What it hides is logged once; where there is none, whoever asked hears of it."""
        known = self._cache.stand_in(self._now_ms())
        if known is None:
            self.looks[FAILED] += 1
            raise error
        self.looks[STALE] += 1
        if error.problem != self._told_trouble:
            log.warning("the product list: %s; the one from before stands in", error)
        self._told_trouble = error.problem
        return Answer(known, str(error))
