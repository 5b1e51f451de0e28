"""Strategies go from a file to the topic and back; only what differs is written, and bad records cost themselves."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka.partitioner import murmur2
from click.testing import CliRunner, Result
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from hypothesis import given
from hypothesis import strategies as st

from streams.cli import main
from streams.core.events import Mode, Status, Strategy
from streams.core.lifecycle import Verdict, settle
from streams.core.limits import MAX_VALUE_BYTES
from streams.errors import InputError
from streams.kafka.brokers import EmbeddedBroker
from streams.kafka.codec import Decoder, Encoder
from streams.kafka.registry import FileSchemas
from streams.kafka.strategy_records import record_of
from streams.kafka.strategy_topic import Standing, differences, fold, read_standing, write_changes
from streams.kafka.whole_topic import Record, read_whole
from tests.kafka.shared_broker import SharedBroker

MakeTopic = Callable[..., str]
SCHEMAS = FileSchemas()
ENCODER = Encoder(SCHEMAS, ["strategy_change"])
DECODER = Decoder(SCHEMAS, "strategy_change")
NOW_MS = 1_700_000_000_000

S1 = Strategy("s1", "5m", frozenset({"AAPL", "MSFT"}))
S2 = Strategy("s2", "1d", frozenset({"X"}), time_zone="Asia/Tokyo", session="XTKS", mode=Mode.LEGACY, coalesce_ms=5)
S3 = Strategy("s3", "1h")


def standing(*strategies: Strategy) -> dict[str, Strategy]:
    return {each.strategy_id: each for each in strategies}


def record(key: bytes | None, value: bytes | None) -> Record:
    return Record(0, 0, key, value)


def value(strategy: Strategy) -> bytes:
    return ENCODER.encode("strategy_change", record_of(strategy, NOW_MS))


def write(broker: SharedBroker, topic: str, *changes: Strategy) -> None:
    write_changes(broker.bootstrap, topic, SCHEMAS, changes, NOW_MS)


def read(broker: SharedBroker, topic: str) -> Standing:
    return read_standing(broker.bootstrap, topic, SCHEMAS)


def produce(broker: SharedBroker, topic: str, *records: tuple[bytes | None, bytes | None], **options: Any) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    for key, each in records:
        producer.produce(topic, key=key, value=each, **options)
    assert producer.flush(30) == 0


@pytest.mark.parametrize(
    ("now", "wanted", "written"),
    [
        ([], S1, [S1]),
        ([], replace(S1, version=7), [replace(S1, version=7)]),
        ([], replace(S1, status=Status.DELETED), []),
        ([S1], S1, []),
        ([replace(S1, version=3)], S1, []),
        ([replace(S1, version=3)], replace(S1, version=3), []),
        ([replace(S1, version=3)], replace(S1, version=5), [replace(S1, version=5)]),
        ([replace(S1, version=3)], replace(S1, timeframe="1m"), [replace(S1, timeframe="1m", version=4)]),
        ([replace(S1, version=3)], replace(S1, timeframe="1m", version=9), [replace(S1, timeframe="1m", version=9)]),
        ([S2], S1, [S1]),
        ([replace(S1, status=Status.DELETED, version=2)], S1, [replace(S1, version=3)]),
    ],
)
def test_only_what_differs_is_written_with_the_version_that_follows(
    now: list[Strategy], wanted: Strategy, written: list[Strategy]
) -> None:
    assert differences(standing(*now), [wanted], prune=False) == written


def test_what_is_not_in_the_file_is_left_alone_unless_it_is_pruned() -> None:
    gone = replace(S3, status=Status.DELETED, version=4)
    now = standing(S1, replace(S2, version=6), gone)
    assert differences(now, [S1], prune=False) == []
    assert differences(now, [S1], prune=True) == [replace(S2, status=Status.DELETED, version=7)]


def test_a_version_that_may_not_follow_is_refused_with_the_remedy() -> None:
    with pytest.raises(InputError, match=r"strategy 's1': .* no move from active to draft; send one of"):
        differences(standing(S1), [S2, replace(S1, status=Status.DRAFT)], prune=False)


def test_the_highest_version_has_no_next_one() -> None:
    last = replace(S1, version=(1 << 63) - 1)
    assert differences(standing(last), [S1], prune=False) == []
    with pytest.raises(InputError, match="highest version there is"):
        differences(standing(last), [replace(S1, timeframe="1m")], prune=False)


strategies = st.builds(
    Strategy,
    strategy_id=st.sampled_from(["a", "b", "c"]),
    timeframe=st.sampled_from(["1m", "5m"]),
    universe=st.frozensets(st.sampled_from(["X", "Y"])),
    status=st.sampled_from(Status),
    version=st.integers(1, 5),
    mode=st.sampled_from([None, Mode.LEGACY]),
)
sets = st.lists(strategies, unique_by=lambda each: each.strategy_id)


@given(now=sets, wanted=sets, prune=st.booleans())
def test_what_is_written_makes_what_stands_as_wanted_and_then_nothing_is_left_to_write(
    now: list[Strategy], wanted: list[Strategy], prune: bool
) -> None:
    stands = standing(*now)
    try:
        changes = differences(stands, wanted, prune=prune)
    except InputError:
        return
    for change in changes:
        settled = settle(stands.get(change.strategy_id), change)
        assert settled.verdict is Verdict.ACCEPTED
        stands[change.strategy_id] = change
    assert differences(stands, wanted, prune=prune) == []
    alive = [each for each in Standing(stands, []).alive if prune or each.strategy_id in standing(*wanted)]
    kept = sorted((each for each in wanted if each.status is not Status.DELETED), key=lambda each: each.strategy_id)
    assert [replace(each, version=1) for each in alive] == [replace(each, version=1) for each in kept]


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (record(None, value(S1)), "it has no key"),
        (record(b"\xff", value(S1)), "its key is not UTF-8"),
        (record(b"s2", value(S1)), "its key is 's2', its strategy 's1'"),
        (record(b"s1", value(S1)[:-1]), "truncated"),
        (record(b"s1", b"\x01" + value(S1)[1:]), "wrong_magic"),
        (record(b"s1", value(replace(S1, timeframe="1m", version=3))), "stands already with another timeframe"),
        (record(b"s1", value(replace(S1, version=4, status=Status.DRAFT))), "no move from active to draft"),
    ],
)
def test_a_record_that_does_not_count_says_why_and_changes_nothing(bad: Record, problem: str) -> None:
    stands = standing(replace(S1, version=3))
    assert problem in fold(stands, bad, DECODER)
    assert stands == standing(replace(S1, version=3))


def test_repeats_and_late_records_are_nothing_to_speak_of_and_behind_a_tombstone_nothing_stands() -> None:
    stands: dict[str, Strategy] = {}
    newest = replace(S1, timeframe="1m", version=2)
    for each in (newest, newest, S1):
        assert fold(stands, record(b"s1", value(each)), DECODER) == ""
    assert stands == standing(newest)
    for _ in range(2):
        assert fold(stands, record(b"s1", None), DECODER) == ""
        assert stands == {}
    assert differences(stands, [S1], prune=False) == [S1], "all workers take it as a birth"


def test_what_is_written_is_what_stands(real_broker: SharedBroker, make_topic: MakeTopic) -> None:
    topic = make_topic(4, **{"cleanup.policy": "compact"})
    assert read(real_broker, topic) == Standing({}, [])
    write(real_broker, topic, S1, S2, S3)
    assert read(real_broker, topic) == Standing(standing(S1, S2, S3), [])
    write(
        real_broker, topic, replace(S1, version=2, universe=frozenset()), replace(S2, version=2, status=Status.DELETED)
    )
    found = read(real_broker, topic)
    assert found.alive == [replace(S1, version=2, universe=frozenset()), S3]
    assert found.warnings == []


def test_keys_are_where_java_would_put_them(real_broker: SharedBroker, make_topic: MakeTopic) -> None:
    topic = make_topic(7)
    ids = [f"strategy-{i}" for i in range(50)]
    write(real_broker, topic, *(replace(S3, strategy_id=each) for each in ids))
    found = {each.key: each.partition for each in read_whole(real_broker.bootstrap, topic)}
    assert found == {each.encode(): (murmur2(each.encode()) & 0x7FFFFFFF) % 7 for each in ids}


def test_bad_records_are_told_with_their_place_and_cost_only_themselves(
    real_broker: SharedBroker, make_topic: MakeTopic
) -> None:
    topic = make_topic(1)
    produce(real_broker, topic, (b"s1", value(S1)), (b"s2", b"\x00\x00"), (None, value(S3)), (b"s3", value(S3)))
    found = read(real_broker, topic)
    assert found.strategies == standing(S1, S3)
    assert [warning.partition(": ")[0] for warning in found.warnings] == [
        f"{topic}, partition 0, offset 1",
        f"{topic}, partition 0, offset 2",
    ]


def test_a_schema_id_in_a_header_is_read(real_broker: SharedBroker, make_topic: MakeTopic) -> None:
    topic = make_topic(1)
    header = {"__value_schema_id": value(S1)[:5]}
    produce(real_broker, topic, (b"s1", value(S1)[5:]), headers=header)
    assert read(real_broker, topic).strategies == standing(S1)


def test_only_committed_records_stand_and_an_open_transaction_holds_nobody_up(
    real_broker: SharedBroker, make_topic: MakeTopic
) -> None:
    topic = make_topic(1)

    def begun(change: Strategy) -> Producer:
        options = {"bootstrap.servers": real_broker.bootstrap, "log_level": 0}
        producer = Producer({**options, "transactional.id": uuid.uuid4().hex})
        producer.init_transactions(30)
        producer.begin_transaction()
        producer.produce(topic, key=change.strategy_id.encode(), value=value(change))
        assert producer.flush(30) == 0
        return producer

    begun(S1).commit_transaction(30)
    begun(S2).abort_transaction(30)
    assert read(real_broker, topic) == Standing(standing(S1), [])
    still_open = begun(S3)
    assert read(real_broker, topic) == Standing(standing(S1), [])
    still_open.abort_transaction(30)
    assert read(real_broker, topic) == Standing(standing(S1), [])


def test_a_strategy_that_workers_would_refuse_is_not_written(real_broker: SharedBroker, make_topic: MakeTopic) -> None:
    topic = make_topic(1)
    wide = replace(S1, universe=frozenset(f"{i:064}" for i in range(MAX_VALUE_BYTES // 64)))
    with pytest.raises(InputError, match=r"strategy 's1': takes \d+ bytes in a record, 1048576 are the limit; split"):
        write(real_broker, topic, S2, wide)
    assert read(real_broker, topic).strategies == {}


def test_what_the_broker_refuses_names_the_strategy(real_broker: SharedBroker, make_topic: MakeTopic) -> None:
    topic = make_topic(1, **{"max.message.bytes": "500"})
    with pytest.raises(InputError, match=r"strategy 's1', topic .* refused to write it \(MSG_SIZE_TOO_LARGE"):
        write(real_broker, topic, replace(S1, universe=frozenset(uuid.uuid4().hex for _ in range(100))))


def test_a_topic_or_a_broker_that_is_not_there_is_told(real_broker: SharedBroker) -> None:
    with pytest.raises(InputError, match="there is no such topic; run `tickgate topics apply`"):
        list(read_whole(real_broker.bootstrap, "none"))
    with pytest.raises(InputError, match=r"topic none at 127\.0\.0\.1:1: no answer.*Connection refused"):
        list(read_whole("127.0.0.1:1", "none", answer_timeout_s=2))


def test_the_embedded_broker_is_read_whole_too() -> None:
    embedded = EmbeddedBroker()
    try:
        write_changes(embedded.bootstrap, "strategy-changes", SCHEMAS, [S1, S2, S3], NOW_MS)
        assert read_standing(embedded.bootstrap, "strategy-changes", SCHEMAS).strategies == standing(S1, S2, S3)
    finally:
        embedded.stop()


def run(broker: SharedBroker, prefix: str, *arguments: str) -> Result:
    environment = {"TICKGATE_BROKER": broker.bootstrap, "TICKGATE_TOPIC_PREFIX": prefix}
    return CliRunner().invoke(main, ["strategies", *arguments], env=environment)


def test_a_file_goes_in_and_comes_out_by_the_command(real_broker: SharedBroker, tmp_path: Path) -> None:
    prefix = f"{uuid.uuid4().hex[:8]}."
    admin = AdminClient({"bootstrap.servers": real_broker.bootstrap})
    (made,) = admin.create_topics([NewTopic(f"{prefix}strategy-changes", 2, 1)]).values()
    made.result(30)
    file, out = tmp_path / "in.yaml", tmp_path / "out.jsonl"
    file.write_text("[{strategy_id: b, timeframe: 5m, universe: [X]}, {strategy_id: a, timeframe: 1h, universe: all}]")
    a = '{"strategy_id": "a", "timeframe": "1h", "universe": "all"}\n'
    b = '{"strategy_id": "b", "timeframe": "5m", "universe": ["X"]}\n'

    dry = run(real_broker, prefix, "import", "--dry-run", str(file))
    assert (dry.exit_code, dry.stdout.splitlines()[:2]) == (0, ["b: version 1, active", "a: version 1, active"])
    assert run(real_broker, prefix, "export").stdout == ""
    assert run(real_broker, prefix, "import", str(file)).stdout == "2 written, 2 in the file, 0 stood before\n"
    assert run(real_broker, prefix, "export").stdout == a + b
    assert run(real_broker, prefix, "import", str(file)).stdout == "0 written, 2 in the file, 2 stood before\n"

    file.write_text("[{strategy_id: a, timeframe: 1h, universe: all}]")
    assert run(real_broker, prefix, "import", str(file)).stdout == "0 written, 1 in the file, 2 stood before\n"
    pruned = run(real_broker, prefix, "import", "--prune", str(file))
    assert pruned.stdout == "1 written, 1 in the file, 2 stood before\n"
    exported = run(real_broker, prefix, "export", "--out", str(out))
    assert (exported.exit_code, exported.stdout, out.read_text()) == (0, "", a)
    assert run(real_broker, prefix, "import", "--prune", str(out)).stdout.startswith("0 written")


def test_the_command_ends_with_two_where_the_user_must_mend_something(
    real_broker: SharedBroker, tmp_path: Path
) -> None:
    missing = run(real_broker, "", "import", str(tmp_path / "none.yaml"))
    assert (missing.exit_code, missing.stdout) == (2, "")
    assert missing.stderr.startswith("error: ")
    assert "no such file" in missing.stderr
