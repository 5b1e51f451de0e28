"""Runs what the commands of `tickgate redis` ask for, in this process."""

import asyncio
import logging
import secrets
import time
from typing import Any, Final

from streams.kafka.look_up import needed_sizes
from streams.kafka.schema_source import open_schemas, registry_told
from streams.kafka.security import for_confluent
from streams.process import told_to_stop
from streams.settings import Settings
from streams.views.health import MEND_PORT
from streams.views.redis.comparing import Report
from streams.views.redis.connecting import connected, unreachable
from streams.views.redis.counts import RedisCounts
from streams.views.redis.follow import Follower, Given, Source
from streams.views.redis.keys import Keys
from streams.views.redis.reconcile import Wishes, reconcile
from streams.views.redis.wire import TROUBLES
from streams.views.served import Server, application, ready_but_for

log = logging.getLogger(__name__)

UNREADY: Final = "Redis is not equal to the tables"


def look_up(settings: Settings) -> Given:
    """What must be there before anything begins; raises `InputError`."""
    topics = settings.topics
    needed = (*topics.changelogs, topics.strategy_changes)
    sizes = needed_sizes(settings.broker, needed, for_confluent(settings))
    with registry_told():
        schemas = open_schemas(settings.schema_registry_url, time.monotonic, prefix=settings.topic_prefix)
    return Given(settings, sizes, schemas)


async def follow(settings: Settings, *, drain: bool) -> dict[str, Any]:
    """Keep Redis as the tables are, until a signal comes, or until it is once. Returns what was done."""
    began_s = time.monotonic()
    counts, over = RedisCounts(), asyncio.Event()
    follower = Follower(look_up(settings), secrets.token_hex(8), counts)
    told_to_stop(over)
    served = application(counts.exposed, lambda: ready_but_for([] if follower.ready else [UNREADY]))
    server = Server(served, MEND_PORT)
    port = await server.start(settings.web_host, settings.web_port)
    log.info("health and metrics at http://%s:%d", settings.web_host, port)
    try:
        await follower.work(over, drain=drain)
    finally:
        await server.stop()
    return {
        "records": follower.source.reader.records,
        "writes": counts.writes,
        "refills": counts.refills,
        "errors": counts.errors,
        "seconds": round(time.monotonic() - began_s, 3),
    }


async def reconciled(settings: Settings, wishes: Wishes) -> list[Report]:
    """Hold Redis against the tables, and mend it."""
    source, keys = Source(look_up(settings)), Keys(settings.redis_prefix)
    try:
        async with connected(settings.redis_urls, settings.redis_timeout_ms / 1_000) as conn:
            return await reconcile(source, conn, keys, wishes)
    except TROUBLES as error:
        raise unreachable(settings.redis_urls, error) from error
