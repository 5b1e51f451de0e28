"""Partitions that are asked for now and then: never forgotten, and left alone where nothing else is to be asked for."""

import asyncio
from types import SimpleNamespace

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import Assignment, SubscriptionState

from streams.kafka.asked_seldom import LIVELY_S, PAUSE_S, ask_seldom, moved

TICKS, CLOCK, RESULTS = TopicPartition("ticks", 0), TopicPartition("clock", 0), TopicPartition("results", 0)
BROKER = 1


def is_seldom(tp: TopicPartition) -> bool:
    return bool(tp.topic in {"clock", "results"})


class Stage:
    """A fetcher that would ask one broker, on a clock that is set by hand."""

    def __init__(self, *assigned: TopicPartition, without_position: tuple[TopicPartition, ...] = ()) -> None:
        self.now_s = 100.0
        self.fetcher = made = Fetcher.__new__(Fetcher)
        made._records, made._in_flight, made._select_read_replica = {}, set(), lambda _: BROKER
        made._max_partition_fetch_bytes = made._fetch_max_wait_ms = made._fetch_min_bytes = made._fetch_max_bytes = 1
        made._isolation_level = made._fetcher_timeout = 0
        made._client_rack, made._client = None, self
        self.cluster, self.leader_for_partition = self, lambda _: BROKER
        self.assignment: Assignment = asyncio.run(self._assigned(assigned, without_position))
        ask_seldom(made, is_seldom, lambda: self.now_s)

    @staticmethod
    async def _assigned(
        assigned: tuple[TopicPartition, ...], without_position: tuple[TopicPartition, ...]
    ) -> Assignment:
        state = SubscriptionState(loop=asyncio.get_running_loop())
        state.assign_from_user(list(assigned))
        for tp in set(assigned) - set(without_position):
            state.seek(tp, 0)
        return state.subscription.assignment

    def asked(self) -> tuple[set[str], set[str]]:
        """The topics that the next request names, and those of which a position is looked for."""
        requests, resets, *_ = self.fetcher._get_actions_per_node(self.assignment)
        named = {topic for _, request in requests for topic, _ in request.topics}
        return named, {tp.topic for tps in resets.values() for tp in tps}


def test_they_are_asked_for_once_in_a_pause() -> None:
    stage, seen = Stage(TICKS, CLOCK), []
    for _ in range(6):
        seen.append(stage.asked()[0])
        stage.now_s += PAUSE_S / 2
    both, ticks = {"ticks", "clock"}, {"ticks"}
    assert seen == [both, ticks, both, ticks, both, ticks]


def test_where_nothing_else_is_assigned_they_are_asked_for_always() -> None:
    stage = Stage(CLOCK)
    assert [stage.asked()[0] for _ in range(3)] == [{"clock"}] * 3


def test_one_without_a_position_is_given_one() -> None:
    stage = Stage(TICKS, CLOCK, without_position=(CLOCK,))
    assert [stage.asked()[1] for _ in range(3)] == [{"clock"}] * 3


def test_a_look_while_a_request_is_on_its_way_is_none() -> None:
    """Nothing can be asked then: a pause must not begin with it."""
    stage = Stage(TICKS, CLOCK)
    stage.fetcher._in_flight.add(BROKER)
    assert stage.asked() == (set(), set())
    stage.fetcher._in_flight.clear()
    assert stage.asked()[0] == {"ticks", "clock"}


def test_a_look_while_records_wait_to_be_consumed_is_none() -> None:
    """Nothing is asked then either. Such looks come often under load, and would put a change off time and again."""
    stage = Stage(TICKS, CLOCK)
    stage.fetcher._records[TICKS] = SimpleNamespace(calculate_backoff=lambda: 0.1)
    assert stage.asked() == (set(), set())
    stage.fetcher._records.clear()
    assert stage.asked()[0] == {"ticks", "clock"}


def test_one_that_brings_something_is_asked_for_always_until_it_is_quiet() -> None:
    stage = Stage(TICKS, CLOCK, RESULTS)
    state = stage.assignment.state_value(CLOCK)
    assert stage.asked()[0] == {"ticks", "clock", "results"}
    state.consumed_to(1)
    stage.now_s += PAUSE_S
    assert stage.asked()[0] == {"ticks", "clock", "results"}
    stage.now_s += PAUSE_S / 5
    assert stage.asked()[0] == {"ticks", "clock"}, "it has brought something; the other has not"
    stage.now_s += LIVELY_S
    assert stage.asked()[0] == {"ticks", "clock", "results"}, "the pause is over"
    stage.now_s += PAUSE_S / 5
    assert stage.asked()[0] == {"ticks"}, "it is quiet"


def test_nothing_that_is_touched_inside_aiokafka_has_moved() -> None:
    assert moved() == []
