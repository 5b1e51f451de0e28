"""Runs `tickgate strategies sync`: once, or as a process that follows both sides until it is told to stop."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Final, NamedTuple

from streams.core.events import Status
from streams.database.counts import DatabaseCounts
from streams.database.engine import Database, DatabaseTroubleError
from streams.database.store import Store
from streams.database.syncing import Syncing, SyncTroubleError
from streams.database.topic import SyncedTopic
from streams.errors import InputError
from streams.feeds.backoff import wait_s
from streams.kafka.sending import first_of, given_up, woken_within
from streams.process import told_to_stop
from streams.settings import Settings
from streams.views.health import MEND_PORT
from streams.views.served import Server, application, ready_but_for

log = logging.getLogger(__name__)

LOOKS: Final = 50
"""So often `sync` looks once more where others edit or send meanwhile."""

GATHER_S: Final = 0.1
"""What changes within so short a time is looked at together."""

NOT_YET: Final = "the table has not been held against the topic yet"
ANOTHER: Final = "another process sends, or people edit: it looks again"


class Wishes(NamedTuple):
    """What was asked for."""

    create: bool = False
    """Make the table, and the file."""
    adopt: bool = False
    """Add a row for each strategy that stands and has none."""


class Made(NamedTuple):
    """What syncs."""

    store: Store
    topic: SyncedTopic
    syncing: Syncing
    counts: DatabaseCounts


async def sync_once(settings: Settings, wishes: Wishes, say: Callable[[str], None]) -> dict[str, int]:
    """Make both sides equal; returns what was done. Raises `InputError`."""
    try:
        async with made(settings, wishes, say) as each:
            await each.store.prepare(create=wishes.create)
            async with working(each) as tasks:
                await first_of([*tasks, asyncio.create_task(_until_equal(each.syncing))])
            alive = sum(strategy.status is not Status.DELETED for strategy in each.topic.book.strategies.values())
            done = {"strategies": alive, "sent": each.counts.sent, "written": each.counts.written}
            return {**done, "bad_rows": len(each.syncing.bad)}
    except (DatabaseTroubleError, SyncTroubleError) as error:
        raise InputError("strategies sync", error.problem, error.remedy) from error


async def follow(settings: Settings, wishes: Wishes) -> None:
    """Make both sides equal, and keep them so until a signal comes. Raises `InputError` where it cannot begin."""
    over = asyncio.Event()
    async with AsyncExitStack() as open_:
        each = await open_.enter_async_context(made(settings, wishes, partial(log.warning, "%s")))
        following = Following(settings, each, wishes)
        told_to_stop(over)
        server = Server(application(each.counts.exposed, lambda: ready_but_for(following.troubles)), MEND_PORT)
        port = await server.start(settings.web_host, settings.web_port)
        open_.push_async_callback(server.stop)
        log.info("health and metrics at http://%s:%d", settings.web_host, port)
        tasks = await open_.enter_async_context(working(each))
        await first_of([*tasks, asyncio.create_task(following.work()), asyncio.create_task(over.wait())])


@asynccontextmanager
async def made(settings: Settings, wishes: Wishes, say: Callable[[str], None]) -> AsyncIterator[Made]:
    """The parts, put together and ended."""
    database = Database(settings.database_url, settings.database_timeout_ms / 1_000, create=wishes.create)
    topic, counts = await asyncio.to_thread(SyncedTopic, settings), DatabaseCounts()
    store = Store(database)
    syncing = Syncing(store, topic, counts, lambda: time.time_ns() // 1_000_000, adopt=wishes.adopt, say=say)
    topic.book.told = syncing.told
    try:
        yield Made(store, topic, syncing, counts)
    finally:
        await topic.close()
        await store.close()


@asynccontextmanager
async def working(each: Made) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """What must run beside."""
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(work) for work in each.topic.work()]
    try:
        yield tasks
    finally:
        await given_up(tasks)


class Following:
    """The looks of a process that goes on."""

    def __init__(self, settings: Settings, each: Made, wishes: Wishes) -> None:
        self._each, self._wishes = each, wishes
        self._interval_s = settings.database_interval_ms / 1_000
        self.troubles = [NOT_YET]
        """Why the two sides are not equal, as far as is known; none where they are."""

    async def work(self) -> None:
        """Look again and again; raises `InputError` where the table is none, at the start."""
        failures, is_prepared = 0, False
        while True:
            try:
                if not is_prepared:
                    await self._each.store.prepare(create=self._wishes.create)
                    is_prepared = True
                is_equal = await self._each.syncing.look()
            except (SyncTroubleError, DatabaseTroubleError) as error:
                self._say(error)
                await asyncio.sleep(wait_s(failures, random.random()))  # noqa: S311 - no secret
                failures += 1
                continue
            failures = 0
            self.troubles = [] if is_equal else [ANOTHER]
            if is_equal:
                await self._rest()
            else:
                await asyncio.sleep(GATHER_S * (1 + random.random()))  # noqa: S311 - as above

    async def _rest(self) -> None:
        """Until something may have changed."""
        syncing = self._each.syncing
        if not syncing.has_more:
            await woken_within(syncing.wake, self._interval_s)
        await asyncio.sleep(min(GATHER_S, self._interval_s))

    def _say(self, error: Exception) -> None:
        """Each trouble is logged when it comes, not as long as it lasts."""
        if self.troubles != [str(error)]:
            log.warning("%s", error)
        self.troubles = [str(error)]


async def _until_equal(syncing: Syncing) -> None:
    """Look until all is equal."""
    for _ in range(LOOKS):
        if await syncing.look():
            return
        await asyncio.sleep(GATHER_S * (1 + random.random()))  # noqa: S311 - no secret
    raise SyncTroubleError("contended", "others edit or send all the time", "run it again, or leave it to --follow")
