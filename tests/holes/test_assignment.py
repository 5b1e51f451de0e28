"""Faults of Faust's assignor: a missing changelog that nobody misses, and a table's topic that it does not know."""

import asyncio
import re
import uuid
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from faust.assignor.partition_assignor import PartitionAssignor

from streams import worker
from streams.app import needed
from streams.errors import InputError
from streams.kafka import tables
from streams.settings import Settings
from tests.holes.cures import with_and_without_the_cure
from tests.holes.stage import CHANGELOG, STRATEGIES, TICKS, NotingRows, NotingShards, make_app
from tests.kafka.shared_broker import SharedBroker


class Cluster:
    """Stands where aiokafka's view of the cluster stands."""

    def __init__(self, *topics: str) -> None:
        self.topics = topics

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {0} if topic in self.topics else set()


async def assigned(*topics: str) -> dict[str, list[int]]:
    """What Faust's assignor gives a lone worker where the cluster has these topics."""
    app = make_app(NotingShards())
    app.with_table(CHANGELOG, NotingRows(), print)
    app.with_strategies(STRATEGIES, NotingRows(), print)
    metadata = app.assignor.metadata({TICKS.topic, CHANGELOG.topic, STRATEGIES.topic})
    made: Any = app.assignor.assign(Cluster(*topics), {"worker": metadata})
    return dict(made["worker"].assignment)


@with_and_without_the_cure
def test_the_assignor_knows_the_topic_of_the_strategies(monkeypatch: pytest.MonkeyPatch, cured: bool) -> None:
    """`_global_table_standby_assignments` (assignor/partition_assignor.py) makes a name up, and does not ask the topic.

    It raises in the leader, and then no worker of the group ever gets a partition.
    """
    topics = TICKS.topic, CHANGELOG.topic, STRATEGIES.topic
    if cured:
        assert asyncio.run(assigned(*topics)).keys() == set(topics)
        return
    monkeypatch.delattr(tables._RowsTable, "_changelog_topic_name")
    with pytest.raises(KeyError, match=re.escape(STRATEGIES.topic)):
        asyncio.run(assigned(*topics))


@with_and_without_the_cure
def test_a_worker_refuses_to_begin_where_a_changelog_is_missing(
    real_broker: SharedBroker, monkeypatch: pytest.MonkeyPatch, cured: bool
) -> None:
    """`_get_copartitioned_groups` (assignor/partition_assignor.py) leaves a missing topic out; the log says so."""
    settings = Settings(broker=real_broker.bootstrap, topic_prefix=f"{uuid.uuid4().hex[:8]}.")
    missing = settings.topics.changelog("last_bucket")
    topics = [NewTopic(name, 1, 1) for name in needed(settings) if name != missing]
    admin = AdminClient({"bootstrap.servers": real_broker.bootstrap})
    for future in admin.create_topics(topics).values():
        future.result(timeout=30)
    if not cured:
        monkeypatch.setattr(worker, "check_sizes", lambda *_: None)
        assert missing not in worker.look_up(settings).sizes  # and the worker would go on
        return
    with pytest.raises(InputError, match=missing):
        worker.look_up(settings)


def test_faust_itself_says_nothing_of_a_missing_changelog() -> None:
    """Why the check above must be ours: the worker is given its ticks, and no state."""
    groups = PartitionAssignor._get_copartitioned_groups(
        {TICKS.topic, CHANGELOG.topic}, Cluster(TICKS.topic), {"worker": [TICKS.topic, CHANGELOG.topic]}
    )
    assert [set(topics) for topics in groups[1]] == [{TICKS.topic}]
