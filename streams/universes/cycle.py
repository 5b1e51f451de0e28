"""One look at the rules: the product list, what stands, and what is written because the two differ."""

import asyncio
from collections.abc import Collection, Iterable
from typing import NamedTuple, Protocol

from streams.core.events import Strategy
from streams.errors import InputError
from streams.kafka.strategy_topic import Standing
from streams.universes.changes import Change, Doubts, Problem, by_reason, plan
from streams.universes.manager import UniverseManager
from streams.universes.rules import Rule


class Topic(Protocol):
    """Where strategies stand. Its calls may block."""

    def standing(self) -> Standing:
        """What stands now; raises `InputError`."""

    def write(self, changes: Collection[Strategy], reason: str) -> None:
        """Write versions; raises `InputError`."""


class Report(NamedTuple):
    """What came of one look."""

    products: int
    fetched_ms: int
    trouble: str
    """Why the list is an old one; empty where it is fresh."""
    changes: list[Change]
    """What was written, or would be."""
    problems: list[Problem]
    warnings: list[str]
    """Records on the topic that do not count."""


class Cycle:
    """The looks of one process."""

    def __init__(
        self, manager: UniverseManager, topic: Topic, rules: Iterable[Rule], doubts: Doubts, *, dry_run: bool = False
    ) -> None:
        self._manager, self._topic = manager, topic
        self.rules = tuple(rules)
        """Those in force; others may be put in their place between two looks."""
        self._doubts, self._dry_run = doubts, dry_run

    async def look(self) -> Report:
        """Look once. Raises `SourceError` where there is no list, `InputError` where there is no broker."""
        answer = await self._manager.products()
        standing = await asyncio.to_thread(self._topic.standing)
        products = answer.known.products
        changes, problems = plan(self.rules, standing.strategies, products, self._doubts)
        written: list[Change] = []
        for reason, versions in by_reason(changes).items():
            try:
                if not self._dry_run:
                    await asyncio.to_thread(self._topic.write, versions, reason)
            except InputError as error:  # one universe that is too large does not hold up the others
                problems.append(Problem("not_written", f"{reason}: {error}"))
            else:
                written += [Change(version, reason) for version in versions]
        fetched_ms = answer.known.fetched_ms
        return Report(len(products), fetched_ms, answer.trouble, written, problems, standing.warnings)
