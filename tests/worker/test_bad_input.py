"""What is no tick and no strategy change gets one dead letter, the rest is exact, and the worker goes on."""

import json
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bench import reference, workload
from bench.kafka_answer import Answer, Mark, answer_of, ends_of, pairs_of_executions, records_behind
from bench.kafka_ground import PARTITIONS, Place, import_strategies, make_topics
from bench.kafka_worker import Worker
from streams.core.events import Status, Strategy
from streams.core.limits import MAX_UNIVERSE, MAX_VALUE_BYTES
from streams.kafka.codec import SCHEMA_HEADER, Encoder
from streams.kafka.partitions import partition_of
from streams.kafka.registry import FileSchemas, own_schemas
from streams.kafka.strategy_records import record_of
from tests.core.avro_bytes import TICK, framed, number, text, tick
from tests.kafka.registry_server import FakeRegistry, Handler, running
from tests.worker.inputs import At, Feed, Given, Hand, Letter, letters, positions, wait_until_done

TS_MS = workload.START_MS
UNKNOWN_ID = 77
WATCHED = [f"B{k}" for k in range(40)]
"""Tickers of bad records, and of nothing else: each would fire if it counted."""

WATCHER = Strategy("watcher", "1m", frozenset(WATCHED))


def a_workload() -> reference.Workload:
    return reference.make(31, 6_000, tickers=300, strategies=60)


def elsewhere(key: bytes) -> int:
    """A partition that the key does not belong in."""
    return (partition_of(key, PARTITIONS) + 1) % PARTITIONS


def bad_ticks() -> Iterator[tuple[str, Given]]:
    """Each with the word for why it is refused."""
    names = (name.encode() for name in WATCHED)

    def a_tick(**changed: object) -> tuple[bytes, bytes]:
        key = next(names)
        return key, tick(key, TS_MS, **changed)  # type: ignore[arg-type]

    key, good = a_tick()
    yield "null_value", Given(key, None)
    yield "truncated", Given(key, b"")
    yield "truncated", Given(key, good[:4])
    yield "truncated", Given(key, good[:-1])
    yield "truncated", Given(key, good[:5])
    yield "wrong_magic", Given(key, b"\x01" + good[1:])
    yield "unknown_schema_id", Given(key, framed(good[5:], UNKNOWN_ID))
    yield "trailing_bytes", Given(key, good + b"x")
    yield "trailing_bytes", Given(key, good + bytes(1_000_000))
    yield "too_large", Given(key, good + bytes(MAX_VALUE_BYTES))
    yield "bad_length", Given(key, framed(number(-1)))
    yield "null_key", Given(None, a_tick()[1])
    yield "null_key", Given(None, None)
    key, good = a_tick()
    yield "wrong_partition", Given(key, good, elsewhere(key))
    yield "ticker_not_utf8", Given(b"\xff\xfe", tick(b"\xff\xfe", TS_MS))
    yield "empty_ticker", Given(b"", tick(b"", TS_MS))
    yield "ticker_too_long", Given(b"L" * 65, tick(b"L" * 65, TS_MS))
    key = next(names)
    yield "ts_out_of_range", Given(key, tick(key, TS_MS * 1_000_000))
    key, good = a_tick()
    yield "bad_schema_header", Given(key, good, headers=((SCHEMA_HEADER, b"\x07what"),))
    yield "unknown_schema_id", Given(key, good[5:], headers=((SCHEMA_HEADER, b"\0" + struct.pack(">I", UNKNOWN_ID)),))
    yield "unknown_schema_id", Given(key, good[5:], headers=((SCHEMA_HEADER, b"\x01" + bytes(16)),))


def headed(name: str) -> Given:
    """A good tick that names its schema in a header."""
    good = tick(name.encode(), TS_MS)
    return Given(name.encode(), good[5:], headers=((SCHEMA_HEADER, good[:5]),))


def expected(work: reference.Workload, *more: tuple[str, str, int]) -> Answer:
    """The answer of the workload, and some pairs on top of it."""
    extra = answer_of(more)
    return Answer(work.pairs + extra.pairs, f"{(int(work.digest, 16) + int(extra.digest, 16)) % 2**64:016x}")


def told(found: list[Letter]) -> list[tuple[At, str]]:
    """Places and reasons; what every letter must hold is looked at too."""
    for letter in found:
        assert letter.fields["detail"], letter
        assert letter.fields["remedy"], letter
        assert letter.key == (letter.fields["key"] or b"")
    return sorted((letter.at, letter.fields["reason"]) for letter in found)


def test_each_bad_tick_has_one_dead_letter_and_everything_else_is_exact(place: Place) -> None:
    work, refused = a_workload(), {}
    make_topics(place)
    import_strategies(place, [*work.strategies, WATCHER])
    mark = Mark.set(place.ground.bootstrap, place.topics.alert_executions)
    feed, hand = Feed(place, work), Hand(place, place.topics.ticks)
    feed.send(0.1)
    with Worker(place) as worker:
        worker.wait_until_ready(PARTITIONS)
        bad = list(bad_ticks())
        for i, (word, each) in enumerate(bad):
            refused[hand.send(each)] = (word, each)
            feed.send(0.1 + 0.8 * (i + 1) / len(bad))
        hand.send(headed(WATCHED[-1]))
        feed.send(1.0)
        wait_until_done(worker, place)
        assert worker.readiness()["ready"], "bad input is no reason to stop"
    found = letters(place, place.topics.ticks)
    assert told(found) == sorted((at, word) for at, (word, _) in refused.items())
    for letter in found:
        fields, (_, each) = letter.fields, refused[letter.at]
        assert fields["topic"] == place.topics.ticks
        assert (fields["key"], fields["key_bytes"]) == (each.key, len(each.key or b""))
        assert (fields["value_bytes"], (each.value or b"")[:1000]) == (
            len(each.value or b""),
            (fields["value"] or b"")[:1000],
        )
    bucket = TS_MS - TS_MS % 60_000
    assert mark.answer(pairs_of_executions) == expected(work, ("watcher", WATCHED[-1], bucket))


ENCODER = Encoder(FileSchemas(), ["strategy_change"])
FIRST = Strategy("first", "5m", frozenset({"T0001"}), version=3)


def changed(strategy: Strategy, key: bytes | None = b"first") -> Given:
    return Given(key, ENCODER.encode("strategy_change", record_of(strategy, TS_MS)))


def bad_changes() -> Iterator[tuple[str, Given]]:
    """Each with the word for why it is refused; none where it does not count, and is no mistake either.

    One without a key is not among them: the broker takes none on a compacted topic.
    """
    good = changed(replace(FIRST, version=4))
    assert good.value is not None
    yield "truncated", Given(b"first", good.value[:-1])
    yield "truncated", Given(b"first", b"")
    yield "wrong_magic", Given(b"first", b"\x01" + good.value[1:])
    yield "unknown_schema_id", Given(b"first", framed(good.value[5:], UNKNOWN_ID))
    yield "other_key", changed(replace(FIRST, version=4), b"second")
    yield "bad_key", changed(replace(FIRST, version=4), b"")
    yield "bad_key", changed(replace(FIRST, version=4), b"\xff")
    yield "change_illegal", changed(replace(FIRST, version=4, status=Status.DRAFT))
    yield "change_conflict", changed(replace(FIRST, timeframe="1m"))
    yield "change_invalid", changed(replace(FIRST, version=4, universe=frozenset({"L" * 65})))
    too_many = frozenset(f"{k:x}" for k in range(MAX_UNIVERSE + 1))
    yield "change_invalid", changed(replace(FIRST, version=4, universe=too_many))
    yield "", Given(b"never there", None)
    yield "", changed(FIRST)
    yield "", changed(replace(FIRST, version=2, timeframe="1m"))


def wait_for_letters(worker: Worker, place: Place, wanted: set[At]) -> None:
    topic = place.topics.strategy_changes
    worker.wait_until(lambda _: {each.at for each in letters(place, topic)} >= wanted, f"done with {wanted}")


def test_each_bad_strategy_change_has_one_dead_letter_also_after_a_restart(place: Place) -> None:
    work, refused = a_workload(), {}
    make_topics(place)
    import_strategies(place, [*work.strategies, FIRST])
    mark = Mark.set(place.ground.bootstrap, place.topics.alert_executions)
    feed, hand = Feed(place, work), Hand(place, place.topics.strategy_changes)
    with Worker(place, "before") as worker:
        worker.wait_until_ready(PARTITIONS)
        for word, each in bad_changes():
            refused[hand.send(each)] = word
        feed.send(0.4)
        wait_for_letters(worker, place, {at for at, word in refused.items() if word})
        wait_until_done(worker, place)
        assert worker.readiness()["ready"]
        worker.wait_until(lambda each: each.table_row("strategies", "first")["version"] > FIRST.version, "mended")
        assert worker.table_row("strategies", "first")["timeframe"] == FIRST.timeframe
    refused[hand.send(Given(b"first", b"while nobody was there"))] = "wrong_magic"
    feed.send(0.7)
    with Worker(place, "after") as worker:
        worker.wait_until_ready(PARTITIONS)
        refused[hand.send(Given(b"first", b"to the new one"))] = "wrong_magic"
        feed.send(1.0)
        wait_for_letters(worker, place, {at for at, word in refused.items() if word})
        wait_until_done(worker, place)
    found = letters(place, place.topics.strategy_changes)
    assert told(found) == sorted((at, word) for at, word in refused.items() if word)
    assert {each.fields["topic"] for each in found} == {place.topics.strategy_changes}
    first = {("first", "T0001", int(ts_ms) - int(ts_ms) % 300_000) for ts_ms in work.when[work.who == 1]}
    assert mark.answer(pairs_of_executions) == expected(work, *first)


NEWER = 21
TICK_FIELDS: Any = TICK["fields"]
MORE_FIELDS = {**TICK, "fields": [{"name": "venue", "type": "string", "default": ""}, *TICK_FIELDS]}


def unusable() -> Iterator[dict[str, Any]]:
    """What a registry may hold and nobody can read a tick with."""
    yield {"schema": json.dumps({**TICK, "fields": [*TICK_FIELDS, {"name": "next", "type": ["null", "Tick"]}]})}
    yield {"schema": json.dumps(MORE_FIELDS), "schemaType": "PROTOBUF"}
    yield {"schema": json.dumps(MORE_FIELDS), "references": [{"name": "a", "subject": "b", "version": 1}]}
    yield {"schema": "no JSON"}
    yield {"schema": json.dumps({"type": "record", "name": "Other", "fields": []})}
    yield {"schema": json.dumps({**MORE_FIELDS, "doc": "d" * (1 << 18)})}
    yield {"schema": json.dumps({**MORE_FIELDS, "doc": "d" * (1 << 20)})}


@pytest.fixture
def registry(once: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRegistry]:
    """One that holds our schemas under their usual ids, and that `tickgate` is told of."""
    with running() as found:
        for own in own_schemas():
            found.add(own.text, own.schema_id, subject=once.prefix + own.subject)
        monkeypatch.setenv("TICKGATE_SCHEMA_REGISTRY_URL", found.url)
        yield found


def of_schema(name: str, schema_id: int) -> Given:
    """A tick that names another schema: the usual one, and a field in front."""
    return Given(name.encode(), framed(text(b"X") + tick(name.encode(), TS_MS)[5:], schema_id))


def reasons(worker: Worker) -> str:
    return " ".join(worker.readiness().get("reasons", []))


def pairs(place: Place) -> list[tuple[str, str, int]]:
    return sorted(pairs_of_executions(records_behind(place.ground.bootstrap, place.topics.alert_executions, {})))


def fail(handler: Handler) -> None:
    handler.say(503, b"{}")


def html(handler: Handler) -> None:
    handler.say(200, b"<html>log in first</html>", "text/html")


def no_schema(handler: Handler) -> None:
    handler.say(200, b'{"schema": 5}')


def cut_off(handler: Handler) -> None:
    handler.wfile.write(b"HTT")


def moved(handler: Handler) -> None:
    handler.say(302, b"", Location="/")


def ready(worker: Worker) -> bool:
    return bool(worker.readiness().get("ready"))


def test_a_shard_waits_for_a_registry_that_is_down_and_says_so_while_the_others_go_on(
    once: Place, registry: FakeRegistry
) -> None:
    first, then = (
        [next(n for n in some if partition_of(n.encode(), PARTITIONS) == p) for p in range(PARTITIONS)]
        for some in (WATCHED, WATCHED[::-1])
    )
    waits, *others = then
    registry.add(json.dumps(MORE_FIELDS), NEWER)
    make_topics(once)
    import_strategies(once, [WATCHER])
    hand = Hand(once, once.topics.ticks)
    with Worker(once) as worker:
        worker.wait_until_ready(PARTITIONS)
        for name in first:
            hand.send(Given(name.encode(), tick(name.encode(), TS_MS)))
        wait_until_done(worker, once)  # what the registry was asked once is known
        registry.behaviour = fail
        at = hand.send(of_schema(waits, NEWER))
        worker.wait_until(lambda each: "registry" in reasons(each), "waiting for the registry")
        for name in others:
            hand.send(Given(name.encode(), tick(name.encode(), TS_MS)))
        ends = {p: end for p, end in ends_of(once.ground.bootstrap, once.topics.ticks).items() if p != at.partition}
        worker.wait_until(lambda each: positions(each).items() >= ends.items(), "done with the other shards")
        shards = {shard["partition"]: shard for shard in worker.readiness()["shards"]}
        assert [p for p, shard in sorted(shards.items()) if not shard["moving"]] == [at.partition]
        assert positions(worker)[at.partition] == at.offset
        registry.behaviour = None
        wait_until_done(worker, once)
        worker.wait_until(ready, "ready again")
    assert {ticker for _, ticker, _ in pairs(once)} == {*first, *then}
    assert letters(once, once.topics.ticks) == []


def test_what_a_hostile_registry_answers_costs_no_good_tick(once: Place, registry: FakeRegistry) -> None:
    """Answers that no registry gives are waited out; schemas of no use, and those there are not, make dead letters."""
    names = iter(WATCHED)
    make_topics(once)
    import_strategies(once, [WATCHER])
    hand, good, refused = Hand(once, once.topics.ticks), set(), {}
    with Worker(once) as worker:
        worker.wait_until_ready(PARTITIONS)
        for schema_id, behaviour in enumerate((html, no_schema, cut_off, moved), 100):
            registry.add(json.dumps(MORE_FIELDS), schema_id)
            registry.behaviour = behaviour
            name = next(names)
            good.add(name)
            hand.send(of_schema(name, schema_id))
            worker.wait_until(lambda each: "registry" in reasons(each), f"waiting, for {behaviour.__name__}")
            registry.behaviour = None
            wait_until_done(worker, once)
        for schema_id, schema in enumerate(unusable(), 200):
            registry.schemas[schema_id] = schema
            refused[hand.send(of_schema(next(names), schema_id))] = "schema_refused"
        refused[hand.send(of_schema(next(names), UNKNOWN_ID))] = "unknown_schema_id"
        wait_until_done(worker, once)
        worker.wait_until(ready, "ready")
    assert {ticker for _, ticker, _ in pairs(once)} == good
    assert told(letters(once, once.topics.ticks)) == sorted(refused.items())
