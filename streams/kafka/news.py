"""What a shard is told of beside its ticks, until it takes it in between two checkpoints; and how far it has."""

import logging

from streams.kafka.clock_intake import ClockIntake
from streams.kafka.deciding import Deciding
from streams.kafka.fetch import RawRun
from streams.kafka.strategy_book import Change, Refusal
from streams.topic_names import CLOCK, STRATEGY_CHANGES

log = logging.getLogger(__name__)


class News:
    """In the order of the telling."""

    def __init__(self, clock: ClockIntake) -> None:
        self.clock = clock
        self.waiting: list[Change | Refusal] = []
        self.inputs: dict[tuple[str, int], int] = {}
        """Of each partition of each topic, up to where it has been taken in; as `Position` has it."""
        self.refusals: list[Refusal] = []
        """Those taken in that have no dead letter yet."""

    @property
    def is_waiting(self) -> bool:
        """Whether there is something to take in before the next tick."""
        return bool(self.waiting or self.clock)

    def take(self, deciding: Deciding) -> list[RawRun]:
        """Put changed strategies in force, and keep what was refused for the dead letters; returns clock records."""
        news, self.waiting = self.waiting, []
        for each in news:
            place = (STRATEGY_CHANGES, each.place.partition)
            if isinstance(each, Change):
                problem = deciding.stand(each.stands)
                if problem:
                    log.error("shard %d leaves %r out: %s", deciding.partition, each.stands.strategy_id, problem)
            else:
                self.refusals.append(each)
            self.inputs[place] = max(each.place.offset + 1, self.inputs.get(place, 0))
        clock = self.clock.take()
        if clock:
            self.inputs[CLOCK, deciding.partition] = clock[-1].position
        return clock

    def take_refusals(self) -> list[Refusal]:
        """Those that get their dead letters now."""
        refusals, self.refusals = self.refusals, []
        return refusals
