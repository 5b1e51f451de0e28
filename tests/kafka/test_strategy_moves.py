"""Strategies paused, activated, edited, deleted and looked at by command, one after the other."""

import json
import uuid
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.cli import main
from streams.core.events import Mode, Status, Strategy
from streams.kafka.codec import Decoder
from streams.kafka.registry import FileSchemas
from streams.kafka.strategy_topic import read_standing, write_changes
from streams.kafka.whole_topic import read_whole
from tests.kafka.shared_broker import SharedBroker

SCHEMAS = FileSchemas()
S1 = Strategy("s1", "5m", frozenset({"AAPL", "MSFT"}), session="XNYS", coalesce_ms=5)
S2 = Strategy("s2", "1h", status=Status.DRAFT)


class Ground:
    """A topic with two strategies, and the command."""

    def __init__(self, broker: SharedBroker) -> None:
        self.bootstrap, self.prefix = broker.bootstrap, f"{uuid.uuid4().hex[:8]}."
        self.topic = f"{self.prefix}strategy-changes"
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        (made,) = admin.create_topics([NewTopic(self.topic, 2, 1)]).values()
        made.result(30)
        write_changes(self.bootstrap, self.topic, SCHEMAS, [S1, S2], 1)

    def run(self, *arguments: str) -> Result:
        """`tickgate strategies ...`."""
        environment = {"TICKGATE_BROKER": self.bootstrap, "TICKGATE_TOPIC_PREFIX": self.prefix}
        return CliRunner().invoke(main, ["strategies", *arguments], env=environment)

    def said(self, *arguments: str) -> list[str]:
        """The lines of one that works."""
        done = self.run(*arguments)
        assert (done.exit_code, done.stderr) == (0, "")
        return done.stdout.splitlines()

    def refused(self, *arguments: str) -> str:
        """What one that is refused says; it writes nothing."""
        before = self.records()
        done = self.run(*arguments)
        assert (done.exit_code, done.stdout) == (2, "")
        assert self.records() == before
        return done.stderr

    def records(self) -> int:
        """How many there are."""
        return len(list(read_whole(self.bootstrap, self.topic)))

    def stands(self) -> dict[str, Strategy]:
        """What stands."""
        return read_standing(self.bootstrap, self.topic, SCHEMAS).strategies


@pytest.fixture
def ground(real_broker: SharedBroker) -> Ground:
    """A topic of its own."""
    return Ground(real_broker)


def test_each_move_writes_the_next_version_once_and_says_why(ground: Ground) -> None:
    assert ground.said("pause", "s1", "--dry-run")[-1] == "1 to be written; this was a dry run"
    assert ground.stands()["s1"] == S1
    assert ground.said("pause", "s1", "--reason", "too loud") == ["s1: version 2, paused", "1 written"]
    assert ground.said("pause", "s1", "s1") == ["0 written"]
    assert ground.said("activate", "s1", "s2") == ["s1: version 3, active", "s2: version 2, active", "2 written"]
    decoder = Decoder(SCHEMAS, "strategy_change")
    found = [decoder.decode(each.value) for each in read_whole(ground.bootstrap, ground.topic) if each.key == b"s1"]
    assert [(each["version"], each["source"], each["reason"]) for each in found] == [
        (1, "file", ""),
        (2, "command", "too loud"),
        (3, "command", ""),
    ]


def test_a_tombstone_follows_the_last_version_and_a_strategy_made_again_begins_anew(ground: Ground) -> None:
    assert ground.said("delete", "s1", "--reason", "done") == ["s1: version 2, deleted", "1 written"]
    assert [each.value is None for each in read_whole(ground.bootstrap, ground.topic) if each.key == b"s1"] == [
        False,
        False,
        True,
    ]
    assert ground.stands() == {"s2": S2}
    assert "strategy 's1': there is no such strategy; see those" in ground.refused("pause", "s2", "s1")
    write_changes(ground.bootstrap, ground.topic, SCHEMAS, [S1], 1)
    assert ground.said("list", "--status", "active") == ["s1\tversion 1\tactive\t5m\t2"]


def test_an_edit_changes_what_is_named_and_nothing_else(ground: Ground) -> None:
    options = ("--timeframe", "1m", "--universe", "X,Y,X", "--mode", "legacy", "--time-zone", "Asia/Tokyo")
    assert ground.said("edit", "s1", *options) == ["s1: version 2, active", "1 written"]
    edited = Strategy("s1", "1m", frozenset("XY"), Status.ACTIVE, 2, "Asia/Tokyo", "XNYS", Mode.LEGACY, coalesce_ms=5)
    assert ground.stands()["s1"] == edited
    ground.said("edit", "s1", "--universe", "all", "--session", "", "--mode", "default", "--coalesce-ms", "default")
    assert ground.stands()["s1"] == Strategy("s1", "1m", version=3, time_zone="Asia/Tokyo")
    assert ground.said("edit", "s1", "--coalesce-ms", "0", "--timeframe", "1m")[0] == "s1: version 4, active"
    assert ground.said("edit", "s1", "--coalesce-ms", "0") == ["0 written"]


def test_what_stands_is_shown_with_the_place_of_its_last_record(ground: Ground) -> None:
    ground.said("pause", "s1")
    told, place = ground.said("show", "s1")
    assert json.loads(told) == {
        "strategy_id": "s1",
        "timeframe": "5m",
        "universe": ["AAPL", "MSFT"],
        "session": "XNYS",
        "coalesce_ms": 5,
        "status": "paused",
        "version": 2,
    }
    last = [each for each in read_whole(ground.bootstrap, ground.topic) if each.key == b"s1"][-1]
    assert place == f"its last record: partition {last.partition}, offset {last.offset}"
    assert ground.said("list") == ["s1\tversion 2\tpaused\t5m\t2", "s2\tversion 1\tdraft\t1h\tall"]
    assert ground.said("list", "--status", "draft") == ["s2\tversion 1\tdraft\t1h\tall"]
    assert "there is no such strategy" in ground.refused("show", "none")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pause", "s2"), "no move from draft to paused; send one of active, deleted, draft"),
        (("activate", "s1", "s3"), "strategy 's3': there is no such strategy"),
        (("edit", "s1"), "no field is named"),
        (("edit", "s1", "--universe", "all,AAPL"), '--universe: "all" stands beside tickers; write either'),
        (("edit", "s1", "--universe", ""), "--universe: the text is empty"),
        (("edit", "s1", "--universe", "A,,B"), "--universe: the text is empty"),
        (("edit", "s1", "--universe", "T" * 65), "has 65 bytes in UTF-8, the limit is 64"),
        (
            ("edit", "s1", "--universe", ",".join(f"T{n}" for n in range(100_001))),
            "100001 tickers, the limit is 100000",
        ),
        (("edit", "s1", "--universe", ",".join(f"{n:064}" for n in range(20_000))), "bytes in a record, 1048576 are"),
        (("edit", "s1", "--coalesce-ms", "60001"), "the number 60001 is out of range; write one from 0 to 60000"),
        (("edit", "s1", "--coalesce-ms", "9" * 5_000), "where a whole number belongs"),
        (("edit", "s1", "--coalesce-ms", "soon"), "the text 'soon', where a whole number belongs"),
        (("edit", "s1", "--time-zone", "Mars/Base"), "--time-zone: "),
        (("edit", "s1", "--timeframe", "m" * 257), "text of 257 characters, the limit is 256"),
        (("delete", "s1", "--reason", "x" * 1_001), "--reason: 1001 characters, the limit is 1000; shorten it"),
    ],
)
def test_what_may_not_be_is_refused_with_words_and_a_remedy(
    ground: Ground, arguments: tuple[str, ...], words: str
) -> None:
    assert words in ground.refused(*arguments)


def test_an_unknown_timeframe_is_legal_and_warned_of(ground: Ground) -> None:
    done = ground.run("edit", "s1", "--timeframe", "5 minutes")
    assert (done.exit_code, done.stdout) == (0, "s1: version 2, active\n1 written\n")
    assert "the strategy is skipped" in done.stderr


def test_a_pruned_strategy_is_forgotten_and_may_come_back_with_its_file(ground: Ground, tmp_path: Path) -> None:
    only, both = tmp_path / "only.jsonl", tmp_path / "both.jsonl"
    only.write_text('{"strategy_id": "s2", "timeframe": "1h", "universe": "all", "status": "draft"}\n')
    both.write_text(only.read_text() + '{"strategy_id": "s1", "timeframe": "5m", "universe": ["B"]}\n')
    ground.said("import", "--prune", str(only))
    assert ground.stands() == {"s2": S2}
    ground.said("import", str(both))
    assert ground.stands() == {"s2": S2, "s1": Strategy("s1", "5m", frozenset("B"))}
    assert ground.said("import", str(both))[0].startswith("0 written")
