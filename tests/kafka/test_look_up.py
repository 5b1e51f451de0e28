"""What a worker looks up before it begins: a topic that is missing, or of another size, ends it with a remedy."""

import pytest

from streams.errors import InputError
from streams.kafka import look_up
from streams.kafka.look_up import check_sizes, topic_sizes
from streams.topic_names import TopicNames
from tests.kafka.conftest import MakeTopic
from tests.kafka.shared_broker import SharedBroker

NAMES = TopicNames("w7.", "tickgate")
SIZES = dict.fromkeys(NAMES.all, 4)


def test_sizes_are_those_of_the_topics_that_are_there(real_broker: SharedBroker, make_topic: MakeTopic) -> None:
    one, three = make_topic(1), make_topic(3)
    assert topic_sizes(real_broker.bootstrap, [one, three, "no-such-topic"]) == {one: 1, three: 3}
    assert topic_sizes(real_broker.bootstrap, [one]) == {one: 1}
    assert "no-such-topic" not in topic_sizes(real_broker.bootstrap, ["no-such-topic"])  # and asking has not made it


def test_a_broker_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_up, "ANSWER_TIMEOUT_S", 0.3)
    with pytest.raises(InputError, match="localhost:1") as error:
        topic_sizes("localhost:1", ["ticks"])
    assert error.value.remedy


def test_all_that_is_needed_is_there() -> None:
    check_sizes(NAMES, NAMES.all, SIZES, "b:1")


def test_every_topic_that_is_missing_is_named() -> None:
    sizes = {name: size for name, size in SIZES.items() if name not in {"w7.ticks", "w7.alert-executions"}}
    with pytest.raises(InputError, match=r"b:1.* has no w7\.alert-executions, w7\.ticks; run `tickgate topics apply`"):
        check_sizes(NAMES, NAMES.all, sizes, "b:1")


@pytest.mark.parametrize("table", ["last_update", "last_bucket"])
def test_a_changelog_has_as_many_partitions_as_the_ticks(table: str) -> None:
    changelog = NAMES.changelog(table)
    with pytest.raises(InputError, match=r"has 3 partitions, and w7\.ticks has 4") as error:
        check_sizes(NAMES, NAMES.all, {**SIZES, changelog: 3}, "b:1")
    assert changelog in str(error.value)


def test_other_topics_may_be_of_any_size() -> None:
    check_sizes(NAMES, NAMES.all, {**SIZES, NAMES.alert_executions: 9, NAMES.strategy_changes: 1}, "b:1")
