"""The group is asked again after an error; what no second attempt mends ends the worker. Nobody is left waiting."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import GroupAuthorizationFailedError, InconsistentGroupProtocolError, KafkaError
from faust.assignor import PartitionAssignor

from streams.kafka import asking_again, knowing_assignor
from streams.kafka.asking_again import ask_again
from streams.kafka.knowing_assignor import KnowingAssignor, UnknownTopicsError


class Coordinator:
    """Notes what it is made to do."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self._client = SimpleNamespace(force_metadata_update=self._update)
        self._push_error_to_user: Any = None

    async def _update(self) -> bool:
        self.did.append("update")
        return True

    def request_rejoin(self) -> None:
        self.did.append("rejoin")


def test_after_an_error_what_is_known_of_topics_is_made_new_and_the_group_joined_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asking_again, "AGAIN_S", 0.0)
    coordinator, ended = Coordinator(), list[Exception]()

    async def end(error: Exception) -> None:
        ended.append(error)

    ask_again(coordinator, end)
    asyncio.run(coordinator._push_error_to_user(KafkaError("anything")))
    assert (coordinator.did, ended) == (["update", "rejoin"], [])


@pytest.mark.parametrize("kind", [GroupAuthorizationFailedError, InconsistentGroupProtocolError])
def test_what_no_second_attempt_mends_ends_the_worker_with_a_remedy(kind: type[KafkaError]) -> None:
    coordinator, ended = Coordinator(), list[Exception]()

    async def main() -> None:
        async def end(error: Exception) -> None:
            ended.append(error)

        ask_again(coordinator, end)
        telling = asyncio.create_task(coordinator._push_error_to_user(kind("g")))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not telling.done()
        telling.cancel()

    asyncio.run(main())
    assert coordinator.did == []
    assert asking_again.FOR_GOOD[kind] in str(ended[0])


def test_partitions_are_assigned_once_every_topic_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PartitionAssignor, "_assign", lambda *_: "assigned")
    known = {"ticks": {0, 1}}
    cluster: Any = SimpleNamespace(partitions_for_topic=known.get)
    members = {"a": SimpleNamespace(subscription=["ticks", "strategy-changes"])}
    assignor = KnowingAssignor.__new__(KnowingAssignor)
    with pytest.raises(UnknownTopicsError, match="topics strategy-changes"):
        assignor._assign(cluster, members)
    known["strategy-changes"] = {0}
    assert assignor._assign(cluster, members) == "assigned"
    assert ClusterMetadata().partitions_for_topic("ticks") is None


def test_nothing_that_is_touched_inside_aiokafka_and_faust_has_moved() -> None:
    assert asking_again.moved() + knowing_assignor.moved() == []
