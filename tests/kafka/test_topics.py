"""Topics become as a file wants them, on a real broker; what would lose state is refused before anything is done."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._metadata import ClusterMetadata

from streams.cli import main
from streams.errors import InputError
from streams.kafka.broker_trouble import trouble
from streams.kafka.brokers import EmbeddedBroker
from streams.kafka.topic_file import default_file, wanted_topics
from streams.kafka.topic_plan import Standing, Wanted, plan, table
from streams.kafka.topics import Cluster, apply, look
from streams.topic_names import TopicNames
from tests.house.tree import ROOT
from tests.kafka.shared_broker import SharedBroker

NAMES = TopicNames("", "app")
SMALL = """
topics:
  - {topic: "*", config: {retention.ms: -1, cleanup.policy: delete}}
  - {topic: ticks, partitions: 2}
  - {topic: clock, partitions: ticks}
  - {topic: journal, partitions: ticks}
  - {topic: strategy-changes, partitions: 1, config: {cleanup.policy: compact}}
  - {topic: controls, partitions: 1, config: {cleanup.policy: compact}}
  - {topic: alert-executions, partitions: 1}
  - {topic: alert-results, partitions: 1}
  - {topic: proposals, partitions: 1}
  - {topic: decisions, partitions: 1}
  - {topic: turns, partitions: 1, config: {cleanup.policy: compact}}
  - {topic: conviction, partitions: 1}
  - {topic: conviction-state, partitions: 1, config: {cleanup.policy: compact}}
  - {topic: "*.dlq", partitions: 1}
  - {topic: "*-changelog", partitions: ticks, config: {cleanup.policy: compact}}
"""


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Write the small file, with texts replaced, and give its path."""

    def written(*replaced: tuple[str, str]) -> Path:
        text = SMALL
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "topics.yaml"
        path.write_text(text)
        return path

    return written


@pytest.fixture
def cluster(real_broker: SharedBroker) -> Cluster:
    return Cluster(real_broker.bootstrap)


@pytest.fixture
def names(real_broker: SharedBroker) -> Iterator[TopicNames]:
    """An environment of the test's own, its topics deleted at the end."""
    own = TopicNames(f"{uuid.uuid4().hex[:8]}.", "app")
    yield own
    admin = AdminClient({"bootstrap.servers": real_broker.bootstrap})
    there = [name for name in admin.list_topics(timeout=10).topics if name.startswith(own.prefix)]
    for future in admin.delete_topics(there).values() if there else ():
        future.result()


def refused(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        wanted_topics(NAMES, path)
    return caught.value


def by_name(wanted: list[Wanted]) -> dict[str, Wanted]:
    return {each.name: each for each in wanted}


def test_the_file_that_comes_along_wants_every_topic_there_is() -> None:
    found = by_name(wanted_topics(NAMES))
    assert tuple(found) == NAMES.all
    assert default_file() == ROOT / "deploy" / "topics.yaml"
    compacted = {name for name, each in found.items() if each.config["cleanup.policy"] == "compact"}
    assert compacted == {"strategy-changes", "controls", "turns", "conviction-state", *NAMES.changelogs}
    ticks = found["ticks"]
    assert ticks.config["retention.ms"] == "-1"
    assert ticks.config["message.timestamp.type"] == "CreateTime"
    followers = {found[name].partitions for name in ("clock", "journal", *NAMES.changelogs)}
    assert followers == {ticks.partitions}


def test_an_entry_adds_to_what_holds_for_all_and_overrides_it(write: Any) -> None:
    found = by_name(
        wanted_topics(NAMES, write(("topic: ticks, partitions: 2", "topic: ticks, partitions: 2, config: {a.b: 1}")))
    )
    assert found["ticks"].config == {"retention.ms": "-1", "cleanup.policy": "delete", "a.b": "1"}
    assert found["controls"].config == {"retention.ms": "-1", "cleanup.policy": "compact"}
    assert found["ticks"].replication is None


def test_replication_is_what_the_entry_says_or_what_holds_for_all(write: Any) -> None:
    path = write(('{topic: "*",', '{topic: "*", replication: 3,'), ("topic: ticks,", "topic: ticks, replication: 2,"))
    found = by_name(wanted_topics(NAMES, path))
    assert (found["ticks"].replication, found["clock"].replication) == (2, 3)


@pytest.mark.parametrize(
    ("old", "new", "place", "problem", "remedy"),
    [
        ("topic: proposals,", "topic: proposal,", "line 11", "there is no topic 'proposal'", "did you mean proposals?"),
        ("topic: proposals,", "", "line 11", "the topic has no name", "write one of"),
        (
            "proposals, partitions",
            "proposals, partition",
            "line 11",
            "no field 'partition'",
            "did you mean partitions?",
        ),
        ("topic: proposals,", "topic: ticks,", "line 11", "ticks is there already, on line 4", "keep one"),
        ("  - {topic: proposals, partitions: 1}\n", "", "", "nothing is said of proposals", "add an entry"),
        ("ticks, partitions: 2", "ticks, partitions: 0", "line 4", "partitions of ticks is no number", "write one"),
        ("ticks, partitions: 2", "ticks, partitions: 1.5", "line 4", "partitions of ticks is no number", "write one"),
        ("ticks, partitions: 2", "ticks", "line 4", "partitions of ticks is no number", "write one"),
        (
            "clock, partitions: ticks",
            "clock, partitions: 2",
            "line 5",
            "as many partitions as ticks",
            "partitions: ticks",
        ),
        ("ticks, config", "4, config", "line 17", "as many partitions as ticks", "partitions: ticks"),
        ("retention.ms: -1", "retention.ms: 1.5", "line 3", "neither text nor a whole number", "in quotes"),
        ("retention.ms: -1", "retention.ms: true", "line 3", "neither text nor a whole number", "in quotes"),
        ("retention.ms: -1", "retention ms: -1", "line 3", "is no setting of a topic", "such as retention.ms"),
        (
            "config: {cleanup.policy: compact}}\n  - {topic: controls",
            "config: 3}\n  - {topic: controls",
            "line 7",
            "no mapping",
            "name: value",
        ),
        ("topics:", "topics: [", "line", "malformed YAML", "deploy/topics.yaml"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_with_its_line(  # noqa: PLR0913, PLR0917 - a row is a case
    write: Any, old: str, new: str, place: str, problem: str, remedy: str
) -> None:
    path = write((old, new))
    error = refused(path)
    assert error.place.startswith(str(path))
    assert place in error.place
    assert problem in error.problem
    assert remedy in error.remedy


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "none.yaml").problem
    (tmp_path / "latin.yaml").write_bytes(b"topics: \xe4")
    assert "not UTF-8 at byte 8" in refused(tmp_path / "latin.yaml").problem


def test_lists_of_policies_have_no_order_and_what_is_not_named_is_let_be() -> None:
    wanted = Wanted("t", 1, {"cleanup.policy": "compact,delete"})
    standing = {"t": Standing(1, 1, {"cleanup.policy": "delete, compact", "retention.ms": "7"})}
    (step,) = plan([wanted], standing, grow=False)
    assert step.is_done


def test_a_replication_that_differs_is_told_and_left() -> None:
    (step,) = plan([Wanted("t", 1, {}, replication=3)], {"t": Standing(1, 1, {})}, grow=False)
    assert step.is_done
    assert "has 1 copies, 3 are wanted; move it with Kafka's kafka-reassign-partitions" in table([step])


def test_why_several_are_refused_is_told_once() -> None:
    wanted = [Wanted("ticks", 2, {}), *(Wanted(name, 2, {}, placed=True, follows="ticks") for name in ("a", "b"))]
    standing = {"ticks": Standing(2, 1, {}), "a": Standing(1, 1, {}), "b": Standing(1, 1, {})}
    said = table(plan(wanted, standing, grow=False)).splitlines()
    assert [line.split()[0] for line in said] == ["topic", "ticks", "a", "b", "REFUSED"]
    assert said[4].startswith("REFUSED a, b: has 1 partitions and must have 2, as ticks has")


def test_topics_are_made_as_wanted_and_a_second_time_nothing_is_done(cluster: Cluster, names: TopicNames) -> None:
    wanted = wanted_topics(names)
    assert all(step.creates for step in apply(cluster, wanted, grow=False))
    assert all(step.is_done for step in apply(cluster, wanted, grow=False))
    standing = cluster.standing(names.all)
    assert set(standing) == set(names.all)
    for each in wanted:
        assert standing[each.name].partitions == each.partitions
        assert {name: standing[each.name].config[name] for name in each.config} == dict(each.config)


def test_several_that_make_the_same_topics_at_once_all_succeed(cluster: Cluster, names: TopicNames, write: Any) -> None:
    wanted = wanted_topics(names, write())
    with ThreadPoolExecutor(3) as pool:
        each = [pool.submit(apply, Cluster(cluster.bootstrap), wanted, grow=False) for _ in range(3)]
    assert [len(one.result()) for one in each] == [len(wanted)] * 3
    assert set(cluster.standing(names.all)) == set(names.all)


def test_a_look_has_the_brokers_word_and_does_nothing(cluster: Cluster, names: TopicNames, write: Any) -> None:
    steps = look(cluster, wanted_topics(names, write()), grow=False)
    assert all(step.creates for step in steps)
    assert cluster.standing(names.all) == {}
    with pytest.raises(InputError, match=r"ticks at .* refused to make the topic.*no\.such\.thing"):
        look(cluster, wanted_topics(names, write(("retention.ms: -1", "no.such.thing: 1"))), grow=False)


def test_settings_that_differ_are_altered_and_told_and_others_stay(
    cluster: Cluster, names: TopicNames, write: Any
) -> None:
    path = write(("topic: proposals, partitions: 1", "topic: proposals, partitions: 1, config: {segment.ms: 12345678}"))
    apply(cluster, wanted_topics(names, path), grow=False)
    steps = apply(cluster, wanted_topics(names, write(("retention.ms: -1", "retention.ms: 60000"))), grow=False)
    assert all("retention.ms: -1 becomes 60000" in line for line in table(steps).splitlines()[1:])
    config = cluster.standing([names.proposals])[names.proposals].config
    assert (config["retention.ms"], config["segment.ms"]) == ("60000", "12345678")


def test_topics_without_state_grow(cluster: Cluster, names: TopicNames, write: Any) -> None:
    apply(cluster, wanted_topics(names, write()), grow=False)
    path = write(("alert-executions, partitions: 1", "alert-executions, partitions: 3"))
    steps = [step for step in apply(cluster, wanted_topics(names, path), grow=False) if not step.is_done]
    assert [step.wanted.name for step in steps] == [names.alert_executions]
    assert cluster.standing(names.all)[names.alert_executions].partitions == 3


def test_topics_with_state_keep_their_partitions_and_grow_only_when_told_to(
    cluster: Cluster, names: TopicNames, write: Any
) -> None:
    apply(cluster, wanted_topics(names, write()), grow=False)
    larger = wanted_topics(names, write(("ticks, partitions: 2", "ticks, partitions: 3"), ("-1", "60000")))
    placed = {names.ticks, names.clock, names.journal, *names.changelogs}
    steps = apply(cluster, larger, grow=False)
    assert {step.wanted.name for step in steps if "--grow adds them" in step.note} == {names.ticks}
    between = cluster.standing(names.all)
    assert {between[name].partitions for name in placed} == {2}
    assert {each.config["retention.ms"] for each in between.values()} == {"60000"}
    apply(cluster, larger, grow=True)
    after = cluster.standing(names.all)
    assert {name for name in names.all if after[name].partitions == 3} == placed


def test_ticks_that_were_there_first_say_how_many_partitions_the_state_has(
    cluster: Cluster, names: TopicNames, write: Any
) -> None:
    cluster.carry_out(plan([Wanted(names.ticks, 5, {})], {}, grow=False), only_look=False)
    while not cluster.standing([names.ticks]):  # the broker takes a moment to show it
        pass
    steps = apply(cluster, wanted_topics(names, write()), grow=False)
    assert not any(step.refusal for step in steps)
    found = cluster.standing(names.all)
    assert {found[name].partitions for name in (names.ticks, names.clock, names.journal, *names.changelogs)} == {5}


def test_partitions_are_never_taken_away(cluster: Cluster, names: TopicNames, write: Any) -> None:
    apply(cluster, wanted_topics(names, write()), grow=False)
    smaller = wanted_topics(names, write(("ticks, partitions: 2", "ticks, partitions: 1")))
    steps = apply(cluster, smaller, grow=True)
    assert ["Kafka cannot take one away" in step.note for step in steps if step.wanted.name == names.ticks] == [True]
    assert cluster.standing(names.all)[names.ticks].partitions == 2


def test_a_changelog_that_does_not_fit_its_ticks_is_refused_and_nothing_is_done() -> None:
    wanted = [Wanted("ticks", 2, {}, placed=True), Wanted("log", 2, {}, placed=True, follows="ticks")]
    for there, told in ((1, "--grow, workers stopped"), (3, "Kafka cannot take one away")):
        standing = {"ticks": Standing(2, 1, {}), "log": Standing(there, 1, {})}
        assert [told in step.refusal for step in plan(wanted, standing, grow=False)] == [False, True]


def test_more_copies_than_brokers_are_told(cluster: Cluster, names: TopicNames, write: Any) -> None:
    with pytest.raises(InputError, match=r"too few brokers .*; write a lower replication"):
        apply(cluster, wanted_topics(names, write(('{topic: "*",', '{topic: "*", replication: 9,'))), grow=False)
    assert cluster.standing(names.all) == {}


def run(broker: str, prefix: str, *arguments: str, app_id: str = "tickgate") -> Result:
    environment = {"TICKGATE_BROKER": broker, "TICKGATE_TOPIC_PREFIX": prefix, "TICKGATE_APP_ID": app_id}
    return CliRunner().invoke(main, ["topics", "apply", *arguments], env=environment)


def test_the_command_says_what_it_did_and_ends_with_a_code(
    real_broker: SharedBroker, cluster: Cluster, names: TopicNames, write: Any
) -> None:
    own = (real_broker.bootstrap, names.prefix, "--file", str(write()))
    dry = run(*own, "--dry-run")
    assert (dry.exit_code, cluster.standing(TopicNames(names.prefix, "tickgate").all)) == (0, {})
    assert dry.stdout.splitlines()[-1] == "19 of 19 topics to be done; this was a dry run, the others are as wanted"
    done = run(*own)
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "19 of 19 topics done, the others are as wanted")
    again = run(*own)
    assert (again.exit_code, again.stdout.splitlines()[-1]) == (0, "0 of 19 topics done, the others are as wanted")
    write(("ticks, partitions: 2", "ticks, partitions: 3"))
    larger = run(*own)
    assert (larger.exit_code, larger.stdout.splitlines()[-1]) == (0, "0 of 19 topics done, the others are as wanted")
    assert "--grow adds them" in larger.stdout
    assert run(*own, "--grow").exit_code == 0
    cluster.carry_out(
        plan([Wanted(f"{names.prefix}other-last_bucket-changelog", 1, {})], {}, grow=False), only_look=False
    )
    refused = run(*own, app_id="other")
    assert refused.exit_code == 2
    assert "nothing was done" in refused.stderr


def test_a_broker_that_does_not_answer_is_told_with_its_address() -> None:
    with pytest.raises(InputError, match=r"127\.0\.0\.1:1: no answer.*Connection refused.*TICKGATE_BROKER"):
        Cluster("127.0.0.1:1", answer_timeout_s=2).standing(["ticks"])


class Forgetful(Cluster):
    """One whose first answers are those of a broker that its controllers have not taken in again, after an outage."""

    without = 0

    def _ask_metadata(self) -> ClusterMetadata:
        metadata = super()._ask_metadata()
        self.without -= 1
        if self.without >= 0:
            metadata.controller_id, metadata.brokers = -1, {}
        return metadata


def test_a_cluster_that_has_no_controller_for_a_while_is_asked_again(cluster: Cluster, names: TopicNames) -> None:
    cluster = Forgetful(cluster.bootstrap)
    cluster.without = 3
    wanted = [Wanted(f"{names.prefix}ticks", 1, {})]
    assert [step.creates for step in apply(cluster, wanted, grow=False)] == [True]
    assert cluster.without < 0


def test_one_that_stays_without_is_told_with_what_to_look_at(cluster: Cluster) -> None:
    cluster = Forgetful(cluster.bootstrap, answer_timeout_s=0.5)
    cluster.without = 1_000
    with pytest.raises(InputError, match=r"has had no controller for 0\.5 s.*logs of its controllers"):
        cluster.standing(["ticks"])


def test_the_embedded_broker_is_told_to_make_its_topics_by_itself() -> None:
    embedded = EmbeddedBroker()
    try:
        with pytest.raises(InputError, match="cannot make topics; take a real Kafka"):
            look(Cluster(embedded.bootstrap), wanted_topics(NAMES), grow=False)
    finally:
        embedded.stop()


@pytest.mark.parametrize(
    ("code", "problem", "remedy"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "does not let this user make the topic", "ask for the right to"),
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED, "does not let this user make the topic", "ask for the right to"),
        (KafkaError.SASL_AUTHENTICATION_FAILED, "does not know this user", "name and password"),
        (KafkaError.UNSUPPORTED_VERSION, "cannot make the topic", "take a real Kafka"),
        (KafkaError.REQUEST_TIMED_OUT, "no answer, so that it could not make the topic (said)", "TICKGATE_BROKER"),
        (KafkaError.POLICY_VIOLATION, "refused to make the topic (POLICY_VIOLATION: said)", "mend what it names"),
    ],
)
def test_what_a_broker_refuses_has_a_remedy(code: int, problem: str, remedy: str) -> None:
    error = trouble(KafkaException(KafkaError(code, "said")), "here", "make the topic")
    assert error.place == "here"
    assert problem in error.problem
    assert remedy in error.remedy
