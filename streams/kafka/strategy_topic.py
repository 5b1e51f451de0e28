"""The strategies that stand on `strategy-changes`, and what makes them those of a file.

One record is added for each strategy that differs, with the version that follows the one that stands. A strategy is
deleted by a version that says so and, right behind it, the tombstone: the one tells why and holds off whoever edits the
same state, the other lets compaction forget both. A worker that was away meets the tombstone, or nothing at all.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from streams.core.events import Status, Strategy
from streams.core.lifecycle import MAX_VERSION, Verdict, settle
from streams.core.limits import MAX_VALUE_BYTES
from streams.errors import InputError, shortened
from streams.kafka.bad_values import Reason
from streams.kafka.codec import Decoder, Encoder
from streams.kafka.registry import Schemas
from streams.kafka.schema_source import registry_told
from streams.kafka.security import NO_SECURITY
from streams.kafka.strategy_fold import put, read
from streams.kafka.strategy_records import record_of
from streams.kafka.topic_writer import send_all
from streams.kafka.whole_topic import Record, read_whole

RECORD: Final = "strategy_change"
"""The file in `schemas/` that a record of the topic is written by."""

_SOURCE: Final = "file"


class Standing(NamedTuple):
    """What stands behind all records of the topic, and which of them did not count."""

    strategies: dict[str, Strategy]
    warnings: list[str]

    @property
    def alive(self) -> list[Strategy]:
        """Those that are not deleted, by their ids."""
        found = (strategy for _, strategy in sorted(self.strategies.items()))
        return [strategy for strategy in found if strategy.status is not Status.DELETED]


def read_standing(
    bootstrap: str,
    topic: str,
    schemas: Schemas,
    security: Mapping[str, str] = NO_SECURITY,
    noted: Callable[[Record], None] = lambda _: None,
) -> Standing:
    """Read the topic and fold it, as every worker does; `noted` is told each record. Raises `InputError`."""
    found, decoder = Standing({}, []), Decoder(schemas, RECORD)
    with registry_told():
        for record in read_whole(bootstrap, topic, security):
            noted(record)
            problem = fold(found.strategies, record, decoder)
            if problem:
                found.warnings.append(f"{topic}, partition {record.partition}, offset {record.offset}: {problem}")
    return found


def fold(strategies: dict[str, Strategy], record: Record, decoder: Decoder) -> str:
    """Take one record; says why it does not count, where it does not."""
    found = put(strategies, read(record, decoder))
    return str(found) if isinstance(found, Reason) else ""


def differences(standing: Mapping[str, Strategy], wanted: Collection[Strategy], *, prune: bool) -> list[Strategy]:
    """The versions that make what stands as wanted; raises `InputError` for one that may not follow what stands."""
    changes = [change for each in wanted if (change := _change(standing.get(each.strategy_id), each))]
    if prune:
        kept = {each.strategy_id for each in wanted}
        changes += [
            _next_version(now, replace(now, status=Status.DELETED))
            for strategy_id, now in sorted(standing.items())
            if strategy_id not in kept and now.status is not Status.DELETED
        ]
    return _allowed(standing, changes)


def edited(
    standing: Mapping[str, Strategy], strategy_ids: Iterable[str], edit: Callable[[Strategy], Strategy]
) -> list[Strategy]:
    """The versions that make some of what stands as `edit` has it; raises `InputError` as `differences` does."""
    found = [alive(standing, strategy_id) for strategy_id in dict.fromkeys(strategy_ids)]
    return _allowed(standing, [_next_version(now, wanted) for now in found if (wanted := edit(now)) != now])


def alive(standing: Mapping[str, Strategy], strategy_id: str) -> Strategy:
    """One that stands and is not deleted; raises `InputError`."""
    now = standing.get(strategy_id)
    if now is None or now.status is Status.DELETED:
        remedy = "see those that stand by `tickgate strategies list`"
        raise InputError(f"strategy {shortened(strategy_id)}", "there is no such strategy", remedy)
    return now


def _allowed(standing: Mapping[str, Strategy], changes: list[Strategy]) -> list[Strategy]:
    """The changes, if each may follow what stands."""
    for change in changes:
        settled = settle(standing.get(change.strategy_id), change)
        if settled.verdict is not Verdict.ACCEPTED:
            problem, _, remedy = settled.reason.partition("; ")
            raise InputError(f"strategy {shortened(change.strategy_id)}", problem, remedy or "read what stands")
    return changes


def _change(now: Strategy | None, wanted: Strategy) -> Strategy | None:
    """The version to write; None where what stands is as wanted."""
    if now is None:
        return None if wanted.status is Status.DELETED else wanted
    if wanted.version <= now.version and replace(wanted, version=now.version) == now:
        return None
    return _next_version(now, wanted)


def _next_version(now: Strategy, change: Strategy) -> Strategy:
    if now.version == MAX_VERSION:
        problem = f"stands under the highest version there is, {MAX_VERSION}"
        raise InputError(f"strategy {shortened(now.strategy_id)}", problem, "take a new strategy_id")
    return replace(change, version=max(now.version + 1, change.version))


def write_changes(  # noqa: PLR0913 - the last by name
    bootstrap: str,
    topic: str,
    schemas: Schemas,
    changes: Collection[Strategy],
    ts_ms: int,
    *,
    security: Mapping[str, str] = NO_SECURITY,
    source: str = _SOURCE,
    reason: str = "",
) -> None:
    """Send changes, and wait until the broker has every one; raises `InputError` for the first that it has not."""
    with registry_told():
        encoder = Encoder(schemas, [RECORD])
    records = [record for each in changes for record in records_for(encoder, each, ts_ms, source=source, reason=reason)]
    send_all(bootstrap, topic, records, "strategy", security)


def records_for(
    encoder: Encoder, change: Strategy, ts_ms: int, *, source: str, reason: str
) -> list[tuple[bytes, bytes | None]]:
    """The key and value of a version, and of the tombstone behind it where it deletes; raises `InputError`."""
    key = change.strategy_id.encode()
    version = (key, _value(encoder, change, ts_ms, source, reason))
    return [version, (key, None)] if change.status is Status.DELETED else [version]


def _value(encoder: Encoder, change: Strategy, ts_ms: int, source: str, reason: str) -> bytes:
    """The value of one record, no larger than workers take it."""
    value = encoder.encode(RECORD, record_of(change, ts_ms, source=source, reason=reason))
    if len(value) > MAX_VALUE_BYTES:
        problem = f"takes {len(value)} bytes in a record, {MAX_VALUE_BYTES} are the limit"
        raise InputError(f"strategy {shortened(change.strategy_id)}", problem, 'split its universe, or write "all"')
    return value
