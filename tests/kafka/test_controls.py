"""Flags on their topic: what counts, what is refused and why, and the commands that set, show and tell of them."""

import asyncio
import uuid
from typing import Any

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.cli import main
from streams.core.agreement import Decision
from streams.core.flags import PER_TICKER_THROTTLE, UPDATE_TRACKING, Control, Scope
from streams.core.turns import UNTURNED, Turn, Way
from streams.kafka.bad_values import Reason
from streams.kafka.book import Refusal
from streams.kafka.codec import Decoder, Encoder
from streams.kafka.control_records import key_of, read, record_of
from streams.kafka.other_books import ControlBook
from streams.kafka.registry import FileSchemas
from streams.kafka.turn_records import pair_of
from streams.kafka.whole_topic import Record
from tests.kafka.batches import Row
from tests.kafka.shard_stage import run_of
from tests.kafka.shared_broker import SharedBroker

ENCODER, DECODER = Encoder(FileSchemas(), ("control", "turn")), Decoder(FileSchemas(), "control")
EVERYWHERE = Control(PER_TICKER_THROTTLE, value=False)
CONTROLS = (
    EVERYWHERE,
    Control(PER_TICKER_THROTTLE, None, Scope.STRATEGY, "s/1"),
    Control(PER_TICKER_THROTTLE, value=True, scope=Scope.PERCENTAGE, percentage=12.5),
    Control(UPDATE_TRACKING, value=True),
)


def value_of(control: Control, **spoilt: Any) -> bytes:
    return ENCODER.encode("control", record_of(control, 5) | spoilt)


@pytest.mark.parametrize("control", CONTROLS, ids=str)
def test_a_control_comes_back_as_it_was_set(control: Control) -> None:
    assert read(Record(0, 1, key_of(control), value_of(control)), DECODER) == control


@pytest.mark.parametrize("control", CONTROLS, ids=str)
def test_a_record_without_a_value_sets_its_flag_no_more(control: Control) -> None:
    found = read(Record(0, 1, key_of(control), None), DECODER)
    assert found == control._replace(value=None, percentage=0.0)


@pytest.mark.parametrize(
    ("key", "value", "word", "remedy"),
    [
        (b"throttle", value_of(EVERYWHERE), "other_key", "name/scope/target"),
        (None, value_of(EVERYWHERE), "other_key", "name/scope/target"),
        (b"", None, "bad_key", "UTF-8"),
        (b"\xff/all/", None, "bad_key", "UTF-8"),
        (b"x/all/", None, "invalid_control", "'per_ticker_throttle'"),
        (b"", value_of(EVERYWHERE)[:-2], "truncated", ""),
        (b"", value_of(EVERYWHERE, name="speed"), "invalid_control", "'per_ticker_throttle'"),
        (b"", value_of(EVERYWHERE, value="yes"), "invalid_control", "'true', 'false'"),
        (b"", value_of(EVERYWHERE, scope="some"), "invalid_control", "'all', 'strategy', 'percentage'"),
        (b"", value_of(EVERYWHERE, target="s1"), "invalid_control", "name a strategy where the scope is one"),
        (b"", value_of(EVERYWHERE, scope="strategy"), "invalid_control", "name a strategy where the scope is one"),
        (b"", value_of(EVERYWHERE, scope="strategy", target="s" * 257), "invalid_control", "that can be"),
        (b"", value_of(EVERYWHERE, scope="percentage", percentage=100.1), "invalid_control", "from 0 to 100"),
        (b"", value_of(EVERYWHERE, scope="percentage", percentage=float("nan")), "invalid_control", "from 0 to 100"),
        (b"", value_of(EVERYWHERE, name=UPDATE_TRACKING, scope="percentage"), "invalid_control", "set it for all"),
        (b"", value_of(EVERYWHERE, name="shadow", scope="percentage"), "invalid_control", "set it for all"),
    ],
)
def test_what_does_not_count_is_refused_with_a_word_and_a_remedy(
    key: bytes | None, value: bytes | None, word: str, remedy: str
) -> None:
    found = read(Record(0, 1, key, value), DECODER)
    assert isinstance(found, Reason)
    assert found.word == word
    assert remedy in found.remedy


def test_the_book_has_the_flags_and_tells_of_each_control_and_each_refusal() -> None:
    told: list[Any] = []

    async def story() -> ControlBook:
        book = ControlBook("w7.controls", 1, DECODER)
        book.told = told.append
        working = asyncio.create_task(book.work())
        book.take("controls", run_of([Row(0, key=key_of(each), value=value_of(each)) for each in CONTROLS]))
        book.take("controls", run_of([Row(0, key=b"x", value=b"rubbish")], len(CONTROLS)))
        await book.caught_up()
        working.cancel()
        return book

    book = asyncio.run(story())
    *set_to, refused = told
    assert [each.control for each in set_to] == list(CONTROLS)
    assert isinstance(refused, Refusal)
    assert (refused.topic, refused.place.offset) == ("controls", len(CONTROLS))
    assert book.flags.value(PER_TICKER_THROTTLE, "s/1", default=False)  # it is among the first per cent
    assert not book.flags.value(PER_TICKER_THROTTLE, "s/2", default=True)
    assert book.flags.everywhere(UPDATE_TRACKING, default=False)
    assert book.inputs == {("controls", 0): len(CONTROLS) + 1}


class Ground:
    """Topics of their own, and the command."""

    def __init__(self, broker: SharedBroker) -> None:
        self.bootstrap, self.prefix = broker.bootstrap, f"{uuid.uuid4().hex[:8]}."
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for made in admin.create_topics(
            [NewTopic(self.prefix + name, 1, 1) for name in ("controls", "turns")]
        ).values():
            made.result(30)

    def run(self, *arguments: str) -> Result:
        environment = {"TICKGATE_BROKER": self.bootstrap, "TICKGATE_TOPIC_PREFIX": self.prefix}
        return CliRunner().invoke(main, ["flags", *arguments], env=environment)

    def said(self, *arguments: str) -> list[str]:
        done = self.run(*arguments)
        assert (done.exit_code, done.stderr) == (0, "")
        return done.stdout.splitlines()

    def send(self, topic: str, key: bytes, value: bytes) -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap})
        producer.produce(self.prefix + topic, key=key, value=value)
        assert producer.flush(30) == 0


def test_flags_are_set_shown_and_told_of(real_broker: SharedBroker) -> None:
    ground = Ground(real_broker)
    assert ground.said("show") == ["no flag is set"]
    assert ground.said("set", PER_TICKER_THROTTLE, "false", "--percentage", "10", "--reason", "canary") == [
        "per_ticker_throttle false for 10 %"
    ]
    assert ground.said("set", PER_TICKER_THROTTLE, "true", "--strategy", "s1") == [
        "per_ticker_throttle true for strategy s1"
    ]
    ground.said("set", PER_TICKER_THROTTLE, "false", "--percentage", "50")
    ground.said("set", UPDATE_TRACKING, "false")
    ground.said("set", UPDATE_TRACKING, "unset")
    assert ground.said("show") == ["per_ticker_throttle false for 50 %", "per_ticker_throttle true for strategy s1"]
    ground.send("controls", b"x", b"rubbish")
    decided = Decision("s1", 1, (*UNTURNED, Turn(1_760_000_000_001, Way.WHOLE)))
    ground.send("turns", *pair_of(decided, ENCODER))
    first, *_, unset, bad, turns = ground.said("history")
    assert first.endswith("per_ticker_throttle false for 10 % (canary)")
    assert unset.endswith("use_symbol_update_tracking not set for all")
    assert "does not count" in bad
    assert turns == "strategy s1: from the start pairs, 1760000000001 whole"


def test_a_flag_that_nobody_would_take_is_not_sent(real_broker: SharedBroker) -> None:
    ground = Ground(real_broker)
    both = ground.run("set", PER_TICKER_THROTTLE, "true", "--strategy", "s1", "--percentage", "5")
    assert (both.exit_code, "not both" in both.stderr) == (2, True)
    special = ground.run("set", UPDATE_TRACKING, "true", "--strategy", "s1")
    assert (special.exit_code, "set it for all" in special.stderr) == (2, True)
    assert ground.said("history") == []
