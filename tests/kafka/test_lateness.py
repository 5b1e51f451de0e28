"""What stands still for long is said, with what it waits for, and ever more seldom."""

from dataclasses import dataclass, field

from streams.instruments import ShardStatus
from streams.kafka.lateness import LATE_S, Lateness

GROUP = "the group to assign partitions"


@dataclass
class Seen:
    """All shards of a worker, as they are set."""

    ready: bool = False
    waits_for: str = GROUP
    shards: list[ShardStatus] = field(default_factory=list)


def status(position: int, end: int, partition: int = 2, reason: str = "") -> ShardStatus:
    return ShardStatus("ticks", partition, "running", moving=True, position=position, end=end, reason=reason)


def test_a_worker_that_is_not_ready_says_what_it_waits_for_and_again_after_twice_the_time() -> None:
    seen = Seen()
    lateness = Lateness(seen)
    assert [lateness.look(now_s) for now_s in (100.0, 100.0 + LATE_S - 1)] == [[], []]
    assert lateness.look(100.0 + LATE_S) == [f"the worker has not been ready for 15 s: it waits for {GROUP}"]
    assert lateness.look(100.0 + LATE_S + 1) == []
    seen.waits_for = "its rows"
    assert lateness.look(100.0 + 2 * LATE_S) == ["the worker has not been ready for 30 s: it waits for its rows"]
    seen.ready = True
    assert lateness.look(1000.0) == []
    seen.ready = False
    assert lateness.look(1001.0) == []


def test_a_shard_that_has_ticks_and_does_not_move_is_named_with_where_it_stands() -> None:
    seen = Seen(ready=True, shards=[status(5, 9), status(9, 9, partition=3)])
    lateness = Lateness(seen)
    lateness.look(0.0)
    said = "shard 2 has not moved for 15 s: it is running at 5 of 9; nothing has been heard of a failure"
    assert lateness.look(LATE_S) == [said]
    seen.shards = [status(6, 9, reason="the broker is away")]
    assert lateness.look(LATE_S + 1) == []
    told = "shard 2 has not moved for 15 s: it is running at 6 of 9; the broker is away"
    assert lateness.look(2 * LATE_S + 1) == [told]


def test_a_quiet_shard_and_one_that_moves_are_not_late() -> None:
    seen = Seen(ready=True)
    lateness = Lateness(seen)
    for now_s in range(100):
        seen.shards = [status(now_s, 1000), status(7, 7, partition=1)]
        assert lateness.look(float(now_s)) == []
