"""`tickgate proposals run`: takes the seat, makes proposals, and shows what it does, until it is told to stop."""

import asyncio
import logging
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

from streams.consumer.clients import warm_up as warm_up_reading
from streams.errors import InputError
from streams.kafka.checkpoint import Observe, unobserved
from streams.kafka.codec import Decoder, Encoder
from streams.kafka.look_up import needed_sizes
from streams.kafka.result_records import RECORD
from streams.kafka.schema_source import open_schemas, registry_told
from streams.kafka.security import for_confluent
from streams.kafka.sending import first_of
from streams.kafka.warm import warm_up_writing
from streams.process import told_to_stop
from streams.settings import Settings
from streams.trader.conviction_records import CHANGE, PROPOSAL, ROW
from streams.trader.exporter import PrometheusExporter
from streams.trader.following import CYCLE_S, Following, beside, moment_ms
from streams.trader.policy_watch import PolicyWatch
from streams.trader.proposal_counts import ProposalCounts
from streams.trader.proposing import Given, Proposing
from streams.trader.seat import Seat
from streams.views.health import MEND_PORT
from streams.views.served import Server, application, ready_but_for

log = logging.getLogger(__name__)

ONE_ORDER: Final = "delete it, and run `tickgate topics apply` with partitions: 1"


def look_up(settings: Settings) -> Given:
    """What must be there before anything begins; raises `InputError`. May wait: not for the event loop."""
    topics = settings.topics
    single = (topics.conviction, topics.conviction_state)
    needed = (topics.alert_results, topics.dead_letters(topics.alert_results), topics.proposals, *single)
    sizes = needed_sizes(settings.broker, needed, for_confluent(settings))
    for each in single:
        if sizes[each] != 1:
            raise InputError(f"topic {each}", f"has {sizes[each]} partitions, and must have one order", ONE_ORDER)
    with registry_told():
        schemas = open_schemas(settings.schema_registry_url, time.monotonic, prefix=settings.topic_prefix)
        encoder = Encoder(schemas, [PROPOSAL, CHANGE, ROW, "dead_letter"])
    warm_up_reading()  # so that no heartbeat waits for the compiler later
    warm_up_writing()
    return Given(settings, sizes, Decoder(schemas, RECORD), Decoder(schemas, ROW), encoder, schemas)


async def run(settings: Settings, path: Path, *, drain: bool, observe: Observe = unobserved) -> dict[str, Any]:
    """Propose until a signal comes, or until all is taken that there was. Returns what was done."""
    began_s = time.monotonic()
    watch, counts, over = PolicyWatch(path, time.monotonic), ProposalCounts(), asyncio.Event()
    given = await asyncio.to_thread(look_up, settings)
    proposing = Proposing(given, watch, counts, observe)
    exporter = PrometheusExporter(counts.registry)
    following = Following(settings, given.schemas, exporter, moment_ms)
    exporter.before_exposed = following.refresh
    told_to_stop(over)
    served = application(exporter.exposed, lambda: ready_but_for([counts.trouble] if counts.trouble else []))
    server = Server(served, MEND_PORT)
    port = await server.start(settings.web_host, settings.web_port)
    log.info("health and metrics at http://%s:%d", settings.web_host, port)

    async def work(leaving: asyncio.Event) -> None:
        await proposing.work(leaving, drain=drain)

    seat = Seat(settings, settings.topics.conviction_state, work, counts.troubled)
    tasks = [asyncio.create_task(seat.until_done()), asyncio.create_task(over.wait())]
    try:
        async with nullcontext() if drain else beside(following, CYCLE_S):
            await first_of(tasks)
    finally:
        await server.stop()
    return {**counts.drained(), "seconds": round(time.monotonic() - began_s, 3)}
