"""The composition root: all parts of a worker, made of the settings and put together."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from faust.types import TP

import agents.clock
import agents.results
import agents.strategies
import agents.ticks
from streams.core.agreement import Agreement
from streams.core.conditions import ConditionTable
from streams.core.events import Mode
from streams.core.shard import Shard
from streams.instruments import Done, Instruments
from streams.kafka import control_records, discovering, result_records, tables, turn_records
from streams.kafka.checkpoint import Observe, Transaction
from streams.kafka.clients import make_ahead, make_announcer, make_consumer, make_transaction
from streams.kafka.clock_values import ClockValues
from streams.kafka.codec import Decoder, Encoder
from streams.kafka.deciding import Layout, Tools
from streams.kafka.discoveries import Discoveries
from streams.kafka.faust_app import TickgateApp
from streams.kafka.fetch import Bounds
from streams.kafka.mending import Mending
from streams.kafka.mending import Tools as MendingTools
from streams.kafka.other_books import Books, ControlBook, TurnBook
from streams.kafka.outbox import Patience
from streams.kafka.partitions import Here, Homes
from streams.kafka.registry import Schemas
from streams.kafka.run_queue import Room
from streams.kafka.shards import Makers, Shards
from streams.kafka.strategy_book import StrategyBook
from streams.kafka.surroundings import Surroundings
from streams.kafka.table_rows import (
    LAST_BUCKET,
    LAST_UPDATE,
    BookRows,
    CountRows,
    LastBucketRows,
    LastUpdateRows,
    StrategyRows,
)
from streams.kafka.tick_values import TickValues
from streams.settings import Settings
from streams.topic_names import CONTROLS, TURNS
from streams.views.tables import Table, Tables, strategy_row


class Given(NamedTuple):
    """What is looked up before a worker begins."""

    settings: Settings
    sizes: Mapping[str, int]
    """Of each topic, the number of its partitions."""
    schemas: Schemas
    encoder: Encoder
    conditions: ConditionTable


class Told(NamedTuple):
    """Who is told what happens."""

    instruments: Instruments
    observe: Observe
    committed: Callable[[int, int, Done], None]


class Parts(NamedTuple):
    """A worker's parts, ready to be started."""

    app: TickgateApp
    shards: Shards
    books: Books
    discoveries: Discoveries
    mending: Mending
    state: Mapping[str, tables.StateTable]
    strategies: tables.WholeTable


def compose(given: Given, told: Told, stop_worker: Callable[[BaseException], None]) -> Parts:
    """Put the parts together. Needs a running event loop."""
    settings, topics = given.settings, given.settings.topics
    books = make_books(given)
    shards = make_shards(given, told, books, lambda: app.consumer)
    discoveries = make_discoveries(given, told, books.strategies, lambda: app.consumer)
    app = TickgateApp(settings, shards, discoveries)
    ours: dict[str, Any] = {"stop_worker": stop_worker}
    state = {
        name: tables.StateTable(
            app,
            name=name,
            rows=rows,
            changelog_topic=tables.changelog(app, topics.changelog(name), given.sizes[topics.ticks]),
            partitions=given.sizes[topics.ticks],
            recovery_buffer_size=tables.STATE_BUFFER_RUNS,
            **ours,
        )
        for name, rows in ((LAST_UPDATE, LastUpdateRows(shards)), (LAST_BUCKET, LastBucketRows(shards)))
    }
    notices, whole = app.channel(), whole_tables(app, books, ours)
    for table in whole:
        table.notices = notices
    for each in (*state.values(), *whole):
        app.tables.add(each)
    agents.ticks.add(app, app.topic(topics.ticks, key_serializer="raw", value_serializer="raw"), shards)
    agents.clock.add(app, app.topic(topics.clock, key_serializer="raw", value_serializer="raw"), shards)
    agents.results.add(app, app.topic(topics.alert_results, key_serializer="raw", value_serializer="raw"), discoveries)
    agents.strategies.add(app, notices, books, shards)
    mending = make_mending(given, shards, books.strategies)
    return Parts(app, shards, books, discoveries, mending, state, whole[0])


def whole_tables(app: TickgateApp, books: Books, ours: Mapping[str, Any]) -> list[tables.WholeTable]:
    """The tables of what every worker holds whole."""
    rows_of = (StrategyRows(books.strategies), BookRows(books.controls), BookRows(books.turns))
    return [
        tables.WholeTable(
            app,
            name=name,
            rows=rows,
            changelog_topic=tables.changelog(app, book.topic, book.partitions),
            partitions=book.partitions,
            recovery_buffer_size=tables.GLOBAL_BUFFER_RUNS,
            is_global=True,
            **ours,
        )
        for name, book, rows in zip(("strategies", CONTROLS, TURNS), books, rows_of, strict=True)
    ]


def make_books(given: Given) -> Books:
    """What every worker holds whole."""
    topics, sizes, schemas = given.settings.topics, given.sizes, given.schemas

    def part(topic: str, record: str) -> tuple[str, int, Decoder]:
        return topic, sizes[topic], Decoder(schemas, record)

    return Books(
        StrategyBook(*part(topics.strategy_changes, "strategy_change")),
        ControlBook(*part(topics.controls, control_records.RECORD)),
        TurnBook(*part(topics.turns, turn_records.RECORD)),
    )


def shown_tables(parts: Parts, partitions: int) -> Tables:
    """What the web server shows of the tables."""
    tables = {name: Table(table, by_ticker=True) for name, table in parts.state.items()}
    tables["strategies"] = Table(parts.strategies, by_ticker=False, as_json=strategy_row)
    tables["counts"] = Table(CountRows(parts.shards, parts.books.strategies), by_ticker=False)
    return Tables(tables, partitions, parts.shards, parts.app.owner, lambda: str(parts.app.conf.canonical_url))


def make_shards(given: Given, told: Told, books: Books, consumer: Callable[[], Any]) -> Shards:
    """The shards, and how they are made. There is no consumer yet when they are."""
    settings, sizes, topics = given.settings, given.sizes, given.settings.topics

    async def seek(topic: str, partition: int, offset: int) -> None:
        await consumer().seek(TP(topic, partition), offset)

    async def bounds(topic: str, partition: int) -> Bounds:
        found: Bounds = await consumer().bounds(topic, partition)
        return found

    def transaction(partition: int) -> Transaction:
        return make_transaction(settings, partition, told.observe)

    around = Surroundings(
        topics.ticks,
        topics.clock,
        seek,
        bounds,
        told.instruments,
        told.committed,
        told.observe,
        Room(settings.checkpoint_max_runs, settings.checkpoint_max_bytes, settings.checkpoint_max_ticks),
        settings.checkpoint_interval_s,
        Patience(1.5 * settings.heartbeat_ms / 1000, 1.5 * settings.session_timeout_ms / 1000),
    )
    letters = {topics.dead_letters(topic): sizes[topics.dead_letters(topic)] for topic in consumed(settings)}
    layout = Layout(topics, sizes[topics.alert_executions], letters, sizes.get(topics.decisions, 0))
    values = TickValues(given.schemas), given.encoder, ClockValues(given.schemas)
    sends_ahead = not settings.exactly_once
    tools = Tools(layout, *values, settings.decisions, settings.shadow, sends_ahead)
    homes = Homes(sizes[topics.ticks])

    def agreement(partition: int) -> Agreement:
        is_home = Here(partition, homes).__getitem__
        return Agreement(partition, sizes[topics.ticks], is_home, sends_ahead=sends_ahead)

    makers = Makers(shard_maker(given, homes), transaction, agreement, lambda: make_consumer(settings))
    return Shards(books, makers, make_ahead(settings), tools, around)


def make_mending(given: Given, shards: Shards, book: StrategyBook) -> Mending:
    """What writes behind records of strategies that do not count."""
    catch_up = partial(book.catch_up, partial(make_consumer, given.settings))
    tools = MendingTools(book, catch_up, given.encoder, make_announcer(given.settings, "mending"))
    return Mending(shards, tools)


def make_discoveries(given: Given, told: Told, book: StrategyBook, consumer: Callable[[], Any]) -> Discoveries:
    """Discovery. There is no consumer yet when it is made."""
    settings, topic = given.settings, given.settings.topics.alert_results

    async def earliest(partition: int) -> int:
        place = TP(topic, partition)
        found: Mapping[TP, int] = await consumer().earliest_offsets(place)
        return found[place]

    tools = discovering.Tools(
        topic,
        given.sizes,
        book,
        partial(book.catch_up, partial(make_consumer, settings)),
        Decoder(given.schemas, result_records.RECORD),
        given.encoder,
        make_announcer(settings),
        told.instruments,
        settings.discovery_min_interval_ms,
    )
    return Discoveries(tools, earliest)


def shard_maker(given: Given, homes: Homes) -> Callable[[int], Shard]:
    """Makes the shard of a partition, which holds the tickers and the whole strategies that hash to it."""
    settings = given.settings
    default = Mode.PER_TICKER if settings.per_ticker_throttle else Mode.LEGACY

    def make(partition: int) -> Shard:
        is_here = Here(partition, homes).__getitem__
        tracked = settings.use_symbol_update_tracking
        shard = Shard(given.conditions, default, tracked=tracked, owns=is_here, is_home=is_here, alone=False)
        shard.index.windows.default_ms = settings.coalesce_ms
        return shard

    return make


def consumed(settings: Settings) -> tuple[str, ...]:
    """The topics that a worker reads."""
    topics = settings.topics
    return topics.ticks, topics.strategy_changes, topics.controls, topics.clock, topics.alert_results


def needed(settings: Settings) -> tuple[str, ...]:
    """The topics that must be there before a worker begins."""
    topics = settings.topics
    letters = map(topics.dead_letters, consumed(settings))
    asked = (topics.decisions,) if settings.decisions.anything else ()
    own = (topics.turns, topics.journal, *topics.changelogs)
    return (*consumed(settings), topics.alert_executions, *asked, *letters, *own)
