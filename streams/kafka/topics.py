"""Makes the topics of a cluster as they should be: creates, grows and alters them, and deletes none.

All that can be refused is refused before anything is done: by the plan, and then by the broker, which is asked to
look at each step without taking it. It is done when the cluster shows it, not when it has accepted it.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._metadata import ClusterMetadata
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewPartitions, NewTopic

from streams.errors import InputError
from streams.kafka.broker_trouble import UNSUPPORTED, Heard, trouble
from streams.kafka.security import NO_SECURITY
from streams.kafka.topic_plan import Standing, Step, Wanted, plan

ANSWER_TIMEOUT_S: Final = 10.0
SEEN_TIMEOUT_S: Final = 30.0
LOOK_AGAIN_S: Final = 0.05
_AS_BROKER_SAYS: Final = -1
_NO_CONTROLLER: Final = -1
"""What a broker names that has lost its controllers, or that they have not taken in yet."""
_RACES: Final = frozenset({"TOPIC_ALREADY_EXISTS", "UNKNOWN_TOPIC_OR_PART"})
"""Somebody was quicker, or one broker than the other. Whether all is as wanted is looked at before the end."""


class Cluster:
    """What of a Kafka cluster has to do with topics."""

    def __init__(
        self, bootstrap: str, security: Mapping[str, str] = NO_SECURITY, *, answer_timeout_s: float = ANSWER_TIMEOUT_S
    ) -> None:
        """Take where it is, and what `security.for_confluent` says."""
        self.bootstrap = bootstrap
        self.answer_timeout_s = answer_timeout_s
        self._heard = Heard()
        options: dict[str, Any] = {"bootstrap.servers": bootstrap, "log_level": 0, "error_cb": self._heard, **security}
        self._admin = AdminClient(options)

    def standing(self, names: Iterable[str]) -> dict[str, Standing]:
        """Those of the named topics that are there."""
        metadata = self._metadata()
        there = [name for name in names if name in metadata.topics]
        if not there:
            return {}
        found = {}
        for name, config in self._configs(there).items():
            partitions = metadata.topics[name].partitions
            replication = min((len(each.replicas) for each in partitions.values()), default=0)
            found[name] = Standing(len(partitions), replication, config)
        return found

    def carry_out(self, steps: Iterable[Step], *, only_look: bool) -> None:
        """Take the steps; or have the broker look whether it would let them be taken."""
        left = [step for step in steps if not step.is_done]
        refused = [step.wanted.name for step in left if step.refusal]
        assert not refused, f"{refused} were refused, and nothing may be done"
        admin = self._admin
        creations = [_creation(step.wanted) for step in left if step.creates]
        growths = [NewPartitions(step.wanted.name, step.wanted.partitions) for step in left if step.grows]
        alterations = [_alteration(step) for step in left if step.changes]
        self._ask(admin.create_topics, creations, "make the topic", only_look=only_look)
        self._ask(admin.create_partitions, growths, "add partitions", only_look=only_look)
        self._ask(admin.incremental_alter_configs, alterations, "change its settings", only_look=only_look)

    def _metadata(self) -> ClusterMetadata:
        """What the cluster knows of itself, once it has a controller: after an outage it may be without for a while."""
        deadline = time.monotonic() + self.answer_timeout_s
        while (metadata := self._ask_metadata()).controller_id == _NO_CONTROLLER:
            if time.monotonic() > deadline:
                problem = f"it has had no controller for {self.answer_timeout_s:g} s, and cannot make topics"
                raise InputError(self.bootstrap, problem, "look at the logs of its controllers, then run it again")
            time.sleep(LOOK_AGAIN_S)
        if metadata.controller_id not in metadata.brokers:
            raise InputError(self.bootstrap, "this broker has no controller, and cannot make topics", UNSUPPORTED)
        return metadata

    def _ask_metadata(self) -> ClusterMetadata:
        try:
            return self._admin.list_topics(timeout=self.answer_timeout_s)
        except KafkaException as error:
            self._admin.poll(0)
            raise trouble(error, self.bootstrap, "list the topics", self._heard.last) from error

    def _configs(self, names: list[str]) -> dict[str, Mapping[str, str | None]]:
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        asked = self._admin.describe_configs(resources, request_timeout=self.answer_timeout_s)
        answers = {each.name: self._answer(future, each.name, "tell its settings") for each, future in asked.items()}
        return {name: {each.name: each.value for each in said.values()} for name, said in answers.items() if said}

    def _ask(self, ask: Callable[..., dict[Any, Future[Any]]], what: list[Any], doing: str, *, only_look: bool) -> None:
        """One request for all topics; raises for the first that is refused."""
        if not what:
            return
        answers = ask(what, request_timeout=self.answer_timeout_s, validate_only=only_look)
        for asked, future in answers.items():
            self._answer(future, asked if isinstance(asked, str) else asked.name, doing)

    def _answer(self, future: Future[Any], place: str, doing: str) -> Any:  # noqa: ANN401 - one type a question
        try:
            return future.result()
        except KafkaException as error:
            if error.args[0].name() in _RACES:
                return None
            raise trouble(error, f"topic {place} at {self.bootstrap}", doing, self._heard.last) from error


def _creation(wanted: Wanted) -> NewTopic:
    replication = wanted.replication or _AS_BROKER_SAYS
    return NewTopic(wanted.name, wanted.partitions, replication, config=dict(wanted.config))


def _alteration(step: Step) -> ConfigResource:
    set_it = AlterConfigOpType.SET
    entries = [ConfigEntry(change.name, change.then, incremental_operation=set_it) for change in step.changes]
    return ConfigResource(ResourceType.TOPIC, step.wanted.name, incremental_configs=entries)


def look(cluster: Cluster, wanted: list[Wanted], *, grow: bool) -> list[Step]:
    """What would have to be done; the broker has agreed to all that is not refused."""
    steps = plan(wanted, cluster.standing(each.name for each in wanted), grow=grow)
    cluster.carry_out((step for step in steps if not step.refusal), only_look=True)
    return steps


def apply(cluster: Cluster, wanted: list[Wanted], *, grow: bool) -> list[Step]:
    """Do it, unless any step is refused, and wait until the cluster shows it. Returns the steps."""
    steps = look(cluster, wanted, grow=grow)
    if any(step.refusal for step in steps):
        return steps
    cluster.carry_out(steps, only_look=False)
    deadline = time.monotonic() + SEEN_TIMEOUT_S
    while not all(step.is_done for step in plan(wanted, cluster.standing(each.name for each in wanted), grow=grow)):
        if time.monotonic() > deadline:
            problem = f"what was accepted is not to be seen after {SEEN_TIMEOUT_S:.0f} s"
            raise InputError(
                cluster.bootstrap, problem, "run it again; if that does not help, look at the broker's log"
            )
        time.sleep(LOOK_AGAIN_S)
    return steps
