"""Some partitions are asked for less often than others.

Each request of aiokafka's fetcher names every partition that is assigned, and each answer does too; both are made and
read in Python. At 50,000 ticks/s there are hundreds of them a second, and most of the partitions are of topics in which
something comes once in a while. So after each request that named these, they are left out for `PAUSE_S`. Where nothing
else comes meanwhile, a request without them waits at the broker for `fetch_max_wait_ms` at most, and so do they.
"""

import time
from collections.abc import Callable, Collection
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import Fetcher

from streams.kafka.touched import no_longer_used

PAUSE_S: Final = 0.025
"""From one request that names them to the next."""

TOUCHED_NAMES: Final = {
    Fetcher._get_actions_per_node: ("tps", "state_value", "_in_flight", "has_valid_position"),  # noqa: SLF001 - that is the point
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


def ask_seldom(
    made: Fetcher, is_seldom: Callable[[TopicPartition], bool], now_s: Callable[[], float] = time.monotonic
) -> None:
    """Have a fetcher ask for some of its partitions now and then only."""
    actions, asked_s = made._get_actions_per_node, float("-inf")  # noqa: SLF001 - see TOUCHED_NAMES

    def asked_now(assignment: Any) -> Any:  # noqa: ANN401 - aiokafka's
        nonlocal asked_s
        if made._in_flight:  # noqa: SLF001 - where one broker alone has still to answer, nothing is asked now
            return actions(assignment)
        if now_s() - asked_s < PAUSE_S:
            return actions(AskedNow(assignment, is_seldom))
        found = actions(assignment)
        if found[0]:  # a look that asks nothing, as where records wait to be consumed, begins no pause
            asked_s = now_s()
        return found

    made._get_actions_per_node = asked_now  # noqa: SLF001 - see TOUCHED_NAMES


def moved() -> list[str]:
    """Name what an upgrade has moved; nothing, if this file still fits."""
    return no_longer_used(TOUCHED_NAMES)
