"""All strategies as this worker knows them: the rows of the GlobalTable `strategies`, settled in order."""

import logging
from contextlib import suppress
from typing import ClassVar, NamedTuple

from streams.core.discovery import Origin, Standing, origin_after
from streams.core.events import Strategy, Tombstone
from streams.core.hidden import HiddenStrategies
from streams.core.timeframes import bucket_rule, parse_timeframe
from streams.core.turns import universe_before
from streams.kafka.bad_values import BadValueError, Reason
from streams.kafka.book import Book, Place, Refusal
from streams.kafka.codec import Decoder
from streams.kafka.packed_strategies import PackedStrategies
from streams.kafka.strategy_fold import Discovered, Read, id_of, note_hidden, put, read
from streams.kafka.whole_topic import Record
from streams.topic_names import STRATEGY_CHANGES

log = logging.getLogger(__name__)


class Change(NamedTuple):
    """A strategy's version that counts, or the tombstone of one."""

    place: Place
    stands: Strategy | Tombstone
    before: frozenset[str] = frozenset()
    """What a version that has emptied the universe goes on with by pairs, until it turns."""


class StrategyBook(Book):
    """What stands, up to where each partition of the topic has been read."""

    name: ClassVar[str] = STRATEGY_CHANGES

    def __init__(self, topic: str, partitions: int, decoder: Decoder) -> None:
        super().__init__(topic, partitions, decoder)
        self.strategies = PackedStrategies()
        """Deleted ones too, until their tombstone: their version goes on counting."""
        self.hidden = HiddenStrategies()
        """Those whose last record does not count, up to where the topic has been read."""
        self.before: dict[str, frozenset[str]] = {}
        """As each change has it, of those that stand."""
        self._origins: dict[str, Origin] = {}
        """Of universes that do not come from the version that stands."""

    def standing(self, strategy_id: str) -> Standing | None:
        """What stands of a strategy, a deleted one too."""
        strategy = self.strategies.get(strategy_id)
        if strategy is None:
            return None
        return Standing(strategy, self._origins.get(strategy_id, Origin(strategy.version)))

    def look(self, record: Record) -> Read:
        """Decode a record."""
        return with_rule(read(record, self.decoder))

    def fold(self, place: Place, record: Record, found: Read) -> None:
        """Let one record count, or keep why it does not."""
        old = None if isinstance(found, Reason) else self.standing(found.strategy_id)
        change = put(self.strategies, found)
        self._note_hidden(record, found, refused=isinstance(change, Reason))
        if isinstance(change, Reason):
            self.refuse(place, record, change)
        elif change is not None:
            self._note_origin(old, change, found.ts_ms if isinstance(found, Discovered) else None)
            self.told(Change(place, change, self._note_before(old, change)))

    def _note_before(self, old: Standing | None, change: Strategy | Tombstone) -> frozenset[str]:
        """Keep the universe before, where the version has emptied it."""
        before = self.before.pop(change.strategy_id, frozenset())
        if isinstance(change, Tombstone):
            return frozenset()
        before = universe_before(old.strategy if old else None, before, change)
        if before:
            self.before[change.strategy_id] = before
        return before

    def _note_hidden(self, record: Record, found: Read, *, refused: bool) -> None:
        """Keep whether a strategy is hidden by its last record, or by this one no more."""
        try:
            strategy_id = id_of(record)
        except BadValueError:
            return  # no strategy has such a key
        stands = None if refused else self.strategies.version(strategy_id)
        left_out = note_hidden(self.hidden, strategy_id, record.partition, found, stands)
        if left_out:
            log.error("%s: too many records that do not count; %r is not mended", self.topic, left_out)

    def _note_origin(self, before: Standing | None, change: Strategy | Tombstone, discovered_ms: int | None) -> None:
        """Keep where the universe comes from, where that is not this version."""
        if isinstance(change, Tombstone):
            self._origins.pop(change.strategy_id, None)
            return
        origin = origin_after(before, change, discovered_ms)
        if origin == Origin(change.version):
            self._origins.pop(change.strategy_id, None)
        else:
            self._origins[change.strategy_id] = origin


def with_rule(found: Read) -> Read:
    """Have the bucket rule made and kept, here in a thread: the first calendar takes more than a second."""
    change = found.strategy if isinstance(found, Discovered) else found
    if isinstance(change, Strategy):
        with suppress(ValueError):  # one that nobody understands is skipped, with a warning, where it is put in force
            bucket_rule(parse_timeframe(change.timeframe), change.time_zone, change.session)
    return found


__all__ = ["Change", "Place", "Refusal", "StrategyBook"]
