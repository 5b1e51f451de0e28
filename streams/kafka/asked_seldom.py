"""Some partitions are asked for less often than others.

Each request of aiokafka's fetcher names every partition that is assigned, and each answer does too; both are made and
read in Python. At 50,000 ticks/s there are hundreds of them a second, and most of the partitions are of topics in which
something comes once in a while. So after each request that named these, they are left out for `PAUSE_S`. Where nothing
else comes meanwhile, a request without them waits at the broker for `fetch_max_wait_ms` at most, and so do they.

One that has brought something lately is named in all requests: where strategies change a hundred times a second, a
pause would be most of what a change takes to arrive.
"""

import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import Fetcher

from streams.kafka.touched import no_longer_used

PAUSE_S: Final = 0.025
"""From one request that names them to the next."""

LIVELY_S: Final = 0.1
"""For so long after it brought something a partition is named always."""

TOUCHED_NAMES: Final = {
    Fetcher._get_actions_per_node: ("tps", "state_value", "_in_flight", "has_valid_position", "position"),  # noqa: SLF001 - that is the point
    Fetcher._fetch_requests_routine: ("_get_actions_per_node",),  # noqa: SLF001
}
"""Inside aiokafka: an assignment is looked at in these ways only when requests are made of it."""


class AskedNow:
    """An assignment as the fetcher looks at one, with the partitions to ask for now."""

    def __init__(self, assignment: Any, leave_out: Callable[[TopicPartition], bool]) -> None:  # noqa: ANN401 - aiokafka's
        self._assignment, self._leave_out = assignment, leave_out
        self.state_value = assignment.state_value

    @property
    def tps(self) -> Collection[TopicPartition]:
        """One that has no position yet is never left out, as it is given one by this too; nor are all."""
        every = self._assignment.tps
        left = [tp for tp in every if not (self._leave_out(tp) and self.state_value(tp).has_valid_position)]
        return left or every


class Seldom:
    """Which partitions may be left out: those of which little comes, unless something has come lately."""

    def __init__(self, is_seldom: Callable[[TopicPartition], bool]) -> None:
        self._is_seldom = is_seldom
        self._positions: dict[TopicPartition, int] = {}
        self._lively_until_s: dict[TopicPartition, float] = {}

    def look(self, assignment: Any, now_s: float) -> None:  # noqa: ANN401 - aiokafka's
        """Note which have moved since the last look."""
        for tp in filter(self._is_seldom, assignment.tps):
            state = assignment.state_value(tp)
            if state.has_valid_position:
                before, self._positions[tp] = self._positions.get(tp), state.position
                if before not in {None, state.position}:
                    self._lively_until_s[tp] = now_s + LIVELY_S

    def leaves_out(self, tp: TopicPartition, now_s: float) -> bool:
        """Whether a request need not name it."""
        return self._is_seldom(tp) and now_s >= self._lively_until_s.get(tp, now_s)


def ask_seldom(
    made: Fetcher, is_seldom: Callable[[TopicPartition], bool], now_s: Callable[[], float] = time.monotonic
) -> None:
    """Have a fetcher ask for some of its partitions now and then only."""
    actions, asked_s, seldom = made._get_actions_per_node, float("-inf"), Seldom(is_seldom)  # noqa: SLF001 - see TOUCHED_NAMES

    def asked_now(assignment: Any) -> Any:  # noqa: ANN401 - aiokafka's
        nonlocal asked_s
        if made._in_flight:  # noqa: SLF001 - where one broker alone has still to answer, nothing is asked now
            return actions(assignment)
        looked_s = now_s()
        if looked_s - asked_s < PAUSE_S:
            return actions(AskedNow(assignment, partial(seldom.leaves_out, now_s=looked_s)))
        seldom.look(assignment, looked_s)
        found = actions(assignment)
        if found[0]:  # a look that asks nothing, as where records wait to be consumed, begins no pause
            asked_s = looked_s
        return found

    made._get_actions_per_node = asked_now  # noqa: SLF001 - see TOUCHED_NAMES


def moved() -> list[str]:
    """Name what an upgrade has moved; nothing, if this file still fits."""
    return no_longer_used(TOUCHED_NAMES)
