"""What a shard is told of strategies, flags and turns, until it takes it in; and how far it has."""

import logging

from streams.kafka.book import Refusal
from streams.kafka.deciding import Deciding
from streams.kafka.other_books import FlagSet, TurnTold
from streams.kafka.strategy_book import Change
from streams.topic_names import CONTROLS, STRATEGY_CHANGES, TURNS

log = logging.getLogger(__name__)

Told = Change | FlagSet | TurnTold | Refusal


class News:
    """In the order of the telling."""

    def __init__(self) -> None:
        self.waiting: list[Told] = []
        self.inputs: dict[tuple[str, int], int] = {}
        """Of each partition of each topic, up to where it has been taken in; as `Position` has it."""
        self.refusals: list[Refusal] = []
        """Those taken in that have no dead letter yet."""

    def take(self, deciding: Deciding) -> None:
        """Put changed strategies in force, and keep what was refused for the dead letters."""
        news, self.waiting = self.waiting, []
        for each in news:
            place = (self._take(deciding, each), each.place.partition)
            self.inputs[place] = max(each.place.offset + 1, self.inputs.get(place, 0))

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
