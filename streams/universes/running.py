"""`tickgate universe run`: looks at the rules again and again, and shows what it sees, until it is told to stop."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple, Never

from streams.consumer.running import ended_by_signals
from streams.errors import InputError
from streams.kafka.schema_source import open_schemas
from streams.settings import Settings
from streams.trader.exporter import PrometheusExporter
from streams.trader.following import Following, beside, moment_ms
from streams.universes.changes import Doubts
from streams.universes.cycle import Cycle, Report
from streams.universes.http_products import HttpProducts
from streams.universes.manager import UniverseManager
from streams.universes.metrics import UniverseMetrics
from streams.universes.pacing import Pacer
from streams.universes.product_cache import ProductCache
from streams.universes.products import SourceError
from streams.universes.rate_limit import RateLimiter
from streams.universes.strategy_changes import StrategyChanges
from streams.universes.universe_file import DEFAULT_LIMIT, UniverseFile, read_universe_file
from streams.views.served import Server, application, ready_but_for

log = logging.getLogger(__name__)

MEND_PORT: Final = "write another port into universe.yaml, such as universe: {metrics: {port: 8001}}; 0 for any"


class Made(NamedTuple):
    """What makes universes."""

    manager: UniverseManager
    pacer: Pacer


@asynccontextmanager
async def made(file: UniverseFile, now_ms: Callable[[], int] = moment_ms) -> AsyncIterator[Made]:
    """A manager on the exchange's list, by the file's bounds."""
    pacer = Pacer(RateLimiter(file.limits, DEFAULT_LIMIT), now_ms, asyncio.sleep, file.most_wait_ms)
    async with HttpProducts(file.asking, pacer) as source:
        yield Made(UniverseManager(source, ProductCache(file.lifetime, file.stale_ms), now_ms), pacer)


async def look_once(settings: Settings, file: UniverseFile, *, dry_run: bool, let_shrink: bool) -> Report:
    """Look at the rules once. Raises `SourceError` or `InputError`."""
    topic = await asyncio.to_thread(StrategyChanges, settings, may_write=not dry_run)
    async with made(file) as (manager, _):
        doubts = Doubts(1) if let_shrink else Doubts()
        return await Cycle(manager, topic, file.rules, doubts, dry_run=dry_run).look()


async def run(settings: Settings, path: Path, *, let_shrink: bool) -> None:
    """Look again and again, until SIGTERM or SIGINT; raises `InputError` where it cannot begin."""
    file = read_universe_file(path)
    topic = await asyncio.to_thread(StrategyChanges, settings, may_write=True)
    await asyncio.to_thread(topic.standing)  # where that cannot be, say so at once
    stop = asyncio.Event()
    async with AsyncExitStack() as open_, made(file) as (manager, pacer):
        running = Running(settings, manager, pacer)
        await open_.enter_async_context(running.served(file))
        cycle = Cycle(manager, topic, file.rules, Doubts(1) if let_shrink else Doubts())
        looking = asyncio.create_task(running.look_on(cycle, path, file))
        stopping = asyncio.create_task(stop.wait())
        with ended_by_signals(stop.set):
            await asyncio.wait((looking, stopping), return_when=asyncio.FIRST_COMPLETED)
        for each in (looking, stopping):
            each.cancel()  # a version that is being written is written, or not; the next look sees which
        ended, _ = await asyncio.gather(looking, stopping, return_exceptions=True)
        if not isinstance(ended, asyncio.CancelledError):
            raise ended


class Running:
    """What goes on beside the looks: metrics, and what they follow."""

    def __init__(self, settings: Settings, manager: UniverseManager, pacer: Pacer) -> None:
        self._manager, self._pacer = manager, pacer
        self.exporter = PrometheusExporter()
        self._metrics = UniverseMetrics(self.exporter.registry)
        schemas = open_schemas(settings.schema_registry_url, time.monotonic, prefix=settings.topic_prefix)
        self._following = Following(settings, schemas, self.exporter, moment_ms)
        self.exporter.before_exposed = self.refresh
        pacer.told = self._metrics.limit_near
        self._said: set[str] = set()
        """Troubles of the look before: each is logged when it comes, not as long as it lasts."""
        self.troubles = ["it has not looked yet"]
        """Why the last look came to nothing; none where it had a list and a broker."""

    def refresh(self) -> None:
        """Bring up to date what changes with time."""
        self.exporter.update_rate_limiters(self._pacer.utilisations())
        manager = self._manager
        self._metrics.refresh(manager.looks, manager.calls, manager.failures, manager.ttl_ms, moment_ms())
        self._following.refresh()

    @asynccontextmanager
    async def served(self, file: UniverseFile) -> AsyncIterator[None]:
        """Serve the metrics, and follow what they show."""
        server = Server(application(self.exporter.exposed, lambda: ready_but_for(self.troubles)), MEND_PORT)
        try:
            port = await server.start(file.metrics_host, file.metrics_port)
            log.info("metrics at http://%s:%d/metrics", file.metrics_host, port)
            async with beside(self._following):
                yield
        finally:
            await server.stop()

    async def look_on(self, cycle: Cycle, path: Path, file: UniverseFile) -> Never:
        """Look again and again, by the rules as they stand in the file."""
        while True:
            await self.look(cycle, reread(cycle, path, file))
            await asyncio.sleep(file.cycle_s)

    async def look(self, cycle: Cycle, trouble: str = "") -> None:
        """Look once; whatever is wrong is logged, and may be better the next time."""
        said = {trouble} if trouble else set()
        self._following.end_cycle()
        try:
            report = await cycle.look()
        except (SourceError, InputError) as error:
            self.troubles = [str(error)]
            self._say(said | {error.problem})
            return
        self.troubles = []
        self._metrics.looked(report)
        for change in report.changes:
            log.info("%s: version %d, %s", change.strategy.strategy_id, change.strategy.version, change.reason)
        self._say(said | {each.words for each in report.problems} | set(report.warnings))

    def _say(self, troubles: set[str]) -> None:
        for trouble in sorted(troubles - self._said):
            log.warning("%s", trouble)
        self._said = troubles


def reread(cycle: Cycle, path: Path, file: UniverseFile) -> str:
    """Put the rules in force that the file holds now; says what of it is not taken, and why."""
    try:
        now = read_universe_file(path)
    except InputError as error:
        return f"{error} (the rules stay as they were)"
    if now.rules != cycle.rules:
        log.info("%s: %d rules, from now on", path, len(now.rules))
        cycle.rules = now.rules
    if now._replace(rules=()) != file._replace(rules=()):
        return f"{path}: what stands under universe has changed; it is taken when this is started again"
    return ""
