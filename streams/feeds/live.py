"""One run of a live feed: what follows it, what brings its trades to Kafka, and the server that shows how it stands."""

import asyncio
import logging
import random
import time
from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple

from streams.errors import InputError
from streams.feeds.delivering import Delivery, Target
from streams.feeds.feed_counts import FeedCounts, FeedMetrics
from streams.feeds.following import Exchange, Follower, Ways, Where
from streams.feeds.inbox import Inbox
from streams.kafka.clients import make_announcer
from streams.kafka.codec import Encoder
from streams.kafka.look_up import needed_sizes
from streams.kafka.schema_source import open_schemas, registry_told
from streams.kafka.security import believing, for_confluent
from streams.kafka.sending import given_up
from streams.reference_data import load_conditions
from streams.settings import Settings
from streams.views.served import Server, application, ready_but_for

log = logging.getLogger(__name__)

STOPPED_S: Final = 8.0
"""What has been received has so long to arrive where the feed is told to stop."""
UNREADY: Final = "the feed is not subscribed"
MEND_PORT: Final = "name another with --web-port; 0 takes a free one"


class Options(NamedTuple):
    """How a feed is run."""

    url: str
    web_port: int
    most_bytes: int
    only_relevant: bool
    quiet_s: float = 15.0
    """Silence behind which the feed is pinged."""
    answer_s: float = 10.0
    """How long to wait for the answer to that, and for a greeting to be over."""


@dataclass(slots=True)
class Summary:
    """What became of it."""

    counts: FeedCounts
    not_delivered_bytes: int
    """Of messages that were received, and whose trades Kafka has not acknowledged."""
    full_seconds: float
    refused: InputError | None
    """Why the feed refused for good."""

    def shown(self) -> dict[str, Any]:
        """For the line at its end."""
        found = {each.name: getattr(self.counts, each.name) for each in fields(self.counts)}
        return {**found, "full_seconds": round(self.full_seconds, 3), "not_delivered_bytes": self.not_delivered_bytes}


def make_target(settings: Settings, *, only_relevant: bool) -> Target:
    """Where ticks go; raises `InputError` where the topics are not there."""
    topics = settings.topics
    letters = topics.dead_letters(topics.ticks)
    sizes = needed_sizes(settings.broker, (topics.ticks, letters), for_confluent(settings))
    with registry_told():
        schemas = open_schemas(
            settings.schema_registry_url, time.monotonic, prefix=settings.topic_prefix, may_register=True
        )
        encoder = Encoder(schemas, ["dead_letter"])
    table = load_conditions(settings.conditions) if only_relevant else None
    announcer = make_announcer(settings, "feed")
    announcer.what = "ticks"
    return Target(announcer, topics.ticks, sizes[topics.ticks], encoder, now_ms, time.monotonic, table)


def now_ms() -> int:
    """The time of this machine."""
    return time.time_ns() // 1_000_000


async def run_feed(exchange: Exchange, settings: Settings, options: Options, over: asyncio.Event) -> Summary:
    """Follow until it is over, or the feed refuses for good."""
    where = Where(options.url, believing("feed_ca_file", settings.feed_ca_file))
    target = make_target(settings, only_relevant=options.only_relevant)
    inbox, counts = Inbox(options.most_bytes, time.monotonic), FeedCounts()
    ways = Ways(random.SystemRandom().random, time.monotonic, options.answer_s, options.quiet_s)
    follower = Follower(where, exchange, inbox, counts, ways)
    metrics = FeedMetrics(counts, lambda: inbox.bytes, lambda: inbox.full_s, lambda: follower.is_subscribed)
    server = Server(
        application(metrics.exposed, lambda: ready_but_for([] if follower.is_subscribed else [UNREADY])), MEND_PORT
    )
    port = await server.start(settings.web_host, options.web_port)
    log.info("health and metrics at http://%s:%d", settings.web_host, port)
    try:
        refused = await _follow(follower, Delivery(exchange, inbox, counts, target), inbox, over)
    finally:
        await target.announcer.close()
        await server.stop()
    return Summary(counts, inbox.bytes, inbox.full_s, refused)


async def _follow(follower: Follower, delivery: Delivery, inbox: Inbox, over: asyncio.Event) -> InputError | None:
    """Until it is over; what has been received is then brought to its end, in bounded time."""
    following, delivering, told = (asyncio.create_task(each) for each in (follower.run(), delivery.run(), over.wait()))
    await asyncio.wait({following, delivering, told}, return_when=asyncio.FIRST_COMPLETED)
    refused = None
    if following.done():
        refused = following.exception()
    elif delivering.done():
        delivering.result()
    await given_up([following, told])
    if refused is not None and not isinstance(refused, InputError):
        await given_up([delivering])
        raise refused
    inbox.close()
    await asyncio.wait({delivering}, timeout=STOPPED_S)
    await given_up([delivering])
    return refused
