"""The flags, and what shards have told each other, as this worker knows them; and all that it holds whole."""

import logging
from typing import ClassVar, NamedTuple

from streams.core.agreement import Ledger, Told
from streams.core.flags import NO_FLAGS, Control
from streams.kafka import control_records
from streams.kafka.bad_values import BadValueError, Reason
from streams.kafka.book import Book, Place
from streams.kafka.codec import Decoder
from streams.kafka.strategy_book import StrategyBook
from streams.kafka.turn_records import told_of
from streams.kafka.whole_topic import Record
from streams.topic_names import CONTROLS, TURNS

log = logging.getLogger(__name__)


class FlagSet(NamedTuple):
    """A control that counts."""

    place: Place
    control: Control


class TurnTold(NamedTuple):
    """What a shard has told."""

    place: Place
    told: Told


class ControlBook(Book):
    """The flags as they are set."""

    name: ClassVar[str] = CONTROLS

    def __init__(self, topic: str, partitions: int, decoder: Decoder) -> None:
        super().__init__(topic, partitions, decoder)
        self.flags = NO_FLAGS

    def look(self, record: Record) -> control_records.Read:
        """Decode a record."""
        return control_records.read(record, self.decoder)

    def fold(self, place: Place, record: Record, found: control_records.Read) -> None:
        """Let one record count, or keep why it does not."""
        if isinstance(found, Reason):
            self.refuse(place, record, found)
        else:
            self.flags = self.flags.with_control(found)
            self.told(FlagSet(place, found))


class TurnBook(Book):
    """What shards have told each other."""

    name: ClassVar[str] = TURNS

    def __init__(self, topic: str, partitions: int, decoder: Decoder) -> None:
        super().__init__(topic, partitions, decoder)
        self.ledger = Ledger()

    def look(self, record: Record) -> Told | Reason:
        """Decode a record."""
        try:
            return told_of(self.decoder.decode(record.value or b"", record.headers))
        except BadValueError as error:
            return error.reason

    def fold(self, place: Place, record: Record, found: Told | Reason) -> None:
        """Let one record count. None but shards write here: a bad one is a fault, and has no dead letter."""
        if isinstance(found, Reason):
            log.error("%s, offset %d, key %.80r: %s", self.topic, place.offset, record.key, found)
        else:
            self.ledger.take(found)
            self.told(TurnTold(place, found))


class Books(NamedTuple):
    """The topics that every worker holds whole."""

    strategies: StrategyBook
    controls: ControlBook
    turns: TurnBook

    async def caught_up(self) -> None:
        """Wait until all that was taken is in them."""
        for book in self:
            await book.caught_up()
