"""What a shard is told of beside its ticks, until it takes it in between two checkpoints; and how far it has."""

import logging

from streams.kafka.book import Refusal
from streams.kafka.clock_intake import ClockIntake
from streams.kafka.deciding import Deciding
from streams.kafka.fetch import RawRun
from streams.kafka.free_runs import FreeRuns
from streams.kafka.other_books import FlagSet, TurnTold
from streams.kafka.strategy_book import Change
from streams.topic_names import CLOCK, CONTROLS, STRATEGY_CHANGES, TURNS

log = logging.getLogger(__name__)

Told = Change | FlagSet | TurnTold | Refusal
"""Of strategies, flags and turns."""


class News:
    """In the order of the telling."""

    def __init__(self, clock: ClockIntake) -> None:
        self.clock = clock
        self.waiting: list[Told] = []
        self.inputs: dict[tuple[str, int], int] = {}
        """Of each partition of each topic, up to where it has been taken in; as `Position` has it."""
        self.refusals: list[Refusal] = []
        """Those taken in that have no dead letter yet."""
        self.waits_for = ""
        """What time, and with it the next tick, waits for. Nothing is wrong then: something will be told."""
        self.outran = False
        """Whether time waits for rows that promise more of it."""

    @property
    def is_waiting(self) -> bool:
        """Whether there is something to take in before the next tick."""
        return bool(self.waiting or self.clock)

    def may_be_taken(self, deciding: Deciding) -> bool:
        """Whether a checkpoint should be made for it, or for what the shard has to tell others."""
        clock = self.clock and not self.waits_for and not self.outran
        return bool(self.waiting or clock or deciding.turning.has_to_tell)

    @property
    def lets_ticks(self) -> bool:
        """Whether ticks may be decided."""
        return not self.waits_for and not self.outran

    def take(self, deciding: Deciding) -> list[RawRun]:
        """Put in force what is told, keep what was refused for the dead letters, and return the clock records."""
        news, self.waiting = self.waiting, []
        with deciding.shard.together():
            for each in news:
                place = (self._take(deciding, each), each.place.partition)
                self.inputs[place] = max(each.place.offset + 1, self.inputs.get(place, 0))
        if news:
            self.waits_for = ""
        clock = [] if self.waits_for else self.clock.take()
        if clock:
            self.inputs[CLOCK, deciding.partition] = clock[-1].position
        return clock

    def put_back(self, partition: int, free: FreeRuns) -> None:
        """What could not be taken comes first again, and may have to wait."""
        self.waits_for, self.outran = free.waits_for, free.outran
        if free.left_clock:
            self.clock.put_back(free.left_clock)
            self.inputs[CLOCK, partition] = free.left_clock[0].start

    def _take(self, deciding: Deciding, told: Told) -> str:
        """Take one in; returns the topic that it comes from, without its prefix."""
        match told:
            case Change():
                problem = deciding.stand(told.stands, told.before)
                if problem:
                    log.error("shard %d leaves %r out: %s", deciding.partition, told.stands.strategy_id, problem)
                return STRATEGY_CHANGES
            case FlagSet():
                deciding.shard.set_flags(deciding.shard.index.ways.flags.with_control(told.control))
                return CONTROLS
            case TurnTold():
                deciding.turning.take(told.told)
                return TURNS
            case Refusal():
                self.refusals.append(told)
                return told.topic

    def take_refusals(self) -> list[Refusal]:
        """Those that get their dead letters now."""
        refusals, self.refusals = self.refusals, []
        return refusals
