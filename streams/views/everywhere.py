"""What is known of shards, wherever they are: here, and of the others by the workers that own them, each asked once.

So any worker answers for all. Who is asked by a worker tells of its own and asks nobody else.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from aiohttp import web
from yarl import URL

from streams.views.owner import HOP, Owner
from streams.views.tables import Tables

Known = TypeVar("Known")
Parts = TypeVar("Parts", list[Any], dict[str, Any])


class Gathered(NamedTuple, Generic[Known]):
    """What is known of some shards, and why nothing is of others."""

    shards: dict[int, Known]
    silent: dict[int, str]

    def in_order(self) -> list[tuple[int, Known]]:
        """The shards that something is known of."""
        return [(partition, self.shards[partition]) for partition in sorted(self.shards)]

    def silent_as_told(self) -> dict[str, str]:
        """The others, for JSON."""
        return {str(partition): why for partition, why in sorted(self.silent.items())}


@dataclass(frozen=True, slots=True)
class Question(Generic[Known]):
    """What is asked of other workers."""

    address: Callable[[str], URL]
    """Where to ask the worker at a URL."""
    read: Callable[[Any], Gathered[Known]]
    """Its answer, out of JSON; raises ValueError where it is none, or one that says why not."""


class Everywhere:
    """The workers that own the shards."""

    def __init__(self, tables: Tables, owner: Owner) -> None:
        self._tables, self._owner = tables, owner

    async def known(
        self, here: Gathered[Known], wanted: Iterable[int], question: Question[Known], request: web.Request
    ) -> Gathered[Known]:
        """What is known here of the shards that a request wants, and by others, unless it is one of theirs."""
        if request.headers.get(HOP):
            return here
        elsewhere, lost = self._owners([p for p in wanted if p not in here.shards and p not in here.silent])
        asking = [self._ask(url, partitions, question) for url, partitions in elsewhere.items()]
        shards, silent = dict(here.shards), here.silent | lost
        for other in await asyncio.gather(*asking):
            shards |= other.shards
            silent |= other.silent
        return Gathered(shards, silent)

    def _owners(self, partitions: Iterable[int]) -> tuple[dict[str, list[int]], dict[int, str]]:
        """Which workers to ask for which shards that are not here; and why of others nobody is."""
        elsewhere, lost = dict[str, list[int]](), dict[int, str]()
        for partition in partitions:
            url = self._tables.owner_url(partition)
            if not url or url == self._tables.own_url():
                lost[partition] = "nobody is known to own it; it is on its way, or recovers; ask again"
            else:
                elsewhere.setdefault(url, []).append(partition)
        return elsewhere, lost

    async def _ask(self, url: str, partitions: Sequence[int], question: Question[Known]) -> Gathered[Known]:
        """What another worker says of the shards that it is known to own."""
        got = await self._owner.get(url, question.address(url), {HOP: "1"})
        try:
            read = question.read(json.loads(got.body))
        except ValueError as error:
            return Gathered({}, dict.fromkeys(partitions, str(error)))
        missing = f"the worker at {url} does not have it; it is on its way, or recovers; ask again"
        silent = {p: read.silent.get(p, missing) for p in partitions if p not in read.shards}
        return Gathered({p: read.shards[p] for p in partitions if p in read.shards}, silent)


def parts_of(body: Any, kind: type[Parts], about: str) -> tuple[Parts, dict[int, str]]:  # noqa: ANN401 - JSON
    """What a worker has said of shards, and of those it says nothing of.

    Raises ValueError where it is no such answer, or one that says why not.
    """
    told = body if isinstance(body, dict) else {}
    shards, silent = told.get("shards"), told.get("silent")
    if not isinstance(shards, kind) or not isinstance(silent, dict):
        problem = told.get("problem", f"it is no answer of a worker about {about}")
        raise ValueError(problem)  # noqa: TRY004 - what is wrong is a value, for all
    return shards, {int(partition): str(why) for partition, why in silent.items()}
