"""What a record of `strategy-changes` makes of the strategies that stand: one rule, for workers and for commands.

In two steps. To read a record may take a schema, and so a registry that is down; to let it count takes only what
stands.
"""

from collections.abc import MutableMapping
from typing import NamedTuple

from streams.core.events import Strategy, Tombstone
from streams.core.hidden import HiddenStrategies
from streams.core.lifecycle import Verdict, settle
from streams.errors import shortened
from streams.kafka.bad_values import BadValueError, Reason
from streams.kafka.codec import Decoder
from streams.kafka.strategy_records import DISCOVERY, strategy_of
from streams.kafka.whole_topic import Record


class Discovered(NamedTuple):
    """A version that discovery has made, and its event time."""

    strategy: Strategy
    ts_ms: int

    @property
    def strategy_id(self) -> str:
        """Whose version it is."""
        return self.strategy.strategy_id


Read = Strategy | Discovered | Tombstone | Reason
"""A version, a deletion, or what is wrong with the record."""


class Said(NamedTuple):
    """What a record says, and who made the change."""

    read: Read
    source: str = ""
    """As the schema calls it; empty where there is no version."""


def read(record: Record, decoder: Decoder) -> Read:
    """Look into a record; raises `RegistryDownError`."""
    return said_in(record, decoder).read


def said_in(record: Record, decoder: Decoder) -> Said:
    """The same, and by whom."""
    try:
        strategy_id = id_of(record)
        if record.value is None:
            return Said(Tombstone(strategy_id))
        decoded = decoder.decode(record.value, record.headers)
        change = strategy_of(decoded)
    except BadValueError as error:
        return Said(error.reason)
    if change.strategy_id != strategy_id:
        detail = f"its key is {shortened(strategy_id)}, its strategy {shortened(change.strategy_id)}"
        return Said(Reason("other_key", detail, "send the strategy's id as the key"))
    source: str = decoded["source"]
    return Said(Discovered(change, decoded["ts"]) if source == DISCOVERY else change, source)


def put(strategies: MutableMapping[str, Strategy], found: Read) -> Strategy | Tombstone | Reason | None:
    """Let it count. Returns what stands now, or that nothing does; why it is refused; None where nothing has changed.

    A deleted version stays until its tombstone: one that is born again before it goes on counting.
    """
    if isinstance(found, Reason):
        return found
    if isinstance(found, Tombstone):
        return None if strategies.pop(found.strategy_id, None) is None else found
    change = found.strategy if isinstance(found, Discovered) else found
    settled = settle(strategies.get(change.strategy_id), change)
    if settled.verdict is Verdict.ACCEPTED:
        strategies[change.strategy_id] = change
        return change
    if not settled.verdict.is_refusal:
        return None
    problem, _, remedy = settled.reason.partition("; ")
    return Reason(f"change_{settled.verdict}", problem, remedy or "mend it, and send it as the next version")


def note_hidden(hidden: HiddenStrategies, strategy_id: str, partition: int, found: Read, stands: int | None) -> str:
    """Keep whether a strategy is hidden by its last record, or by this one no more; returns whom there is no room for.

    `stands` is the version that stands behind the record; None, where the record was refused.
    """
    said = found.strategy if isinstance(found, Discovered) else found
    if isinstance(said, Tombstone) or (isinstance(said, Strategy) and said.version == stands):
        hidden.show(said)  # it counts, or repeats what does
        return ""
    return hidden.hide(strategy_id, partition, said if isinstance(said, Strategy) else None)


def id_of(record: Record) -> str:
    """The strategy that a record is of, by its key."""
    remedy = "send the strategy's id as the key, in UTF-8"
    if not record.key:
        raise BadValueError(Reason("bad_key", "it has no key", remedy))
    try:
        return record.key.decode()
    except UnicodeDecodeError as error:
        raise BadValueError(Reason("bad_key", "its key is not UTF-8", remedy)) from error
