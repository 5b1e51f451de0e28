"""Changes and results that nobody in his right mind would send, each under a strategy of its own.

Told with each is the word of its dead letter, or those it may be: where a value is cut decides which fault is met.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

from streams.core.events import Mode, Status, Strategy
from streams.core.limits import MAX_COALESCE_MS, MAX_UNIVERSE, MAX_VALUE_BYTES
from streams.kafka.codec import SCHEMA_HEADER, Encoder
from streams.kafka.registry import FileSchemas
from streams.kafka.strategy_records import record_of
from tests.core.avro_bytes import array, framed, number, text
from tests.worker.inputs import Given
from tests.worker.reports import START_MS, value

ENCODER: Final = Encoder(FileSchemas(), ["strategy_change", "result"])
UNKNOWN_ID: Final = 77
CUT: Final = "truncated bad_length"
CUTS: Final = 20
WIDE: Final = [f"{k:x}" for k in range(MAX_UNIVERSE + 1)]

Bad = tuple[str, bytes | None, dict[str, bytes]]
"""Words, value and headers."""


def change_of(strategy: Strategy) -> bytes:
    """The value of a change."""
    return ENCODER.encode("strategy_change", record_of(strategy, START_MS))


def framings(good: bytes, header_id: bytes) -> Iterator[Bad]:
    """What may be wrong with any value, whatever it holds."""
    for length in (*range(CUTS - 1), len(good) - 1):
        yield CUT, good[:length], {}
    yield "wrong_magic", b"\1" + good[1:], {}
    yield "wrong_magic", b"{" + good[1:], {}
    yield "unknown_schema_id", framed(good[5:], UNKNOWN_ID), {}
    yield "unknown_schema_id", framed(good[5:], (1 << 32) - 1), {}
    yield "trailing_bytes", good + b"x", {}
    yield "trailing_bytes", good + bytes(MAX_VALUE_BYTES // 2), {}
    yield "too_large", good + bytes(MAX_VALUE_BYTES), {}
    yield "bad_schema_header", good, {SCHEMA_HEADER: b"\7what"}
    yield "bad_schema_header", good, {SCHEMA_HEADER: b""}
    yield "unknown_schema_id", good[5:], {SCHEMA_HEADER: header_id[:1] + UNKNOWN_ID.to_bytes(4)}
    yield "unknown_schema_id", good[5:], {SCHEMA_HEADER: b"\1" + bytes(16)}
    yield "bad_length", good[:5] + number(-1) + good[6:], {}
    yield "bad_length", good[:5] + number(1 << 40) + good[6:], {}
    yield "bad_number", good[:5] + b"\xff" * 11 + good[6:], {}


def by_hand(strategy_id: bytes, **parts: bytes) -> bytes:
    """A change, field by field; those that are named in bytes."""
    usual = {
        "strategy_id": text(strategy_id),
        "version": number(4),
        "ts": number(START_MS),
        "status": text(b"active"),
        "timeframe": text(b"5m"),
        "universe": array([text(b"A")]),
        "time_zone": text(b"UTC"),
        "session": text(b""),
        "mode": text(b""),
        "coalesce_ms": number(0),
        "name": text(b""),
        "source": text(b""),
        "reason": text(b""),
    }
    return framed(b"".join({**usual, **parts}.values()), ENCODER.schema_id("strategy_change"))


def contents(now: Strategy) -> Iterator[Bad]:
    """Changes that are well written, and cannot follow what stands; or are not well written within."""
    following = replace(now, version=now.version + 1)
    strategy_id = now.strategy_id.encode()
    yield "change_illegal", change_of(replace(following, status=Status.DRAFT)), {}
    for contradiction in (
        replace(now, timeframe="1h"),
        replace(now, universe=frozenset({"other"})),
        replace(now, status=Status.PAUSED),
        replace(now, status=Status.DELETED),
        replace(now, mode=Mode.LEGACY),
        replace(now, session="XNYS"),
    ):
        yield "change_conflict", change_of(contradiction), {}
    for out_of_bounds in (
        replace(following, version=0),
        replace(following, version=-(1 << 63)),
        replace(following, universe=frozenset({"L" * 65})),
        replace(following, universe=frozenset({"A", ""})),
        replace(following, universe=frozenset(WIDE)),
        replace(following, coalesce_ms=-1),
        replace(following, coalesce_ms=MAX_COALESCE_MS + 1),
    ):
        yield "change_invalid", change_of(out_of_bounds), {}
    yield "too_large", change_of(replace(following, universe=frozenset(each.zfill(12) for each in WIDE))), {}
    yield "invalid_strategy", by_hand(strategy_id, status=text(b"dead")), {}
    yield "invalid_strategy", by_hand(strategy_id, mode=text(b"global")), {}
    yield "other_key", by_hand(b"somebody else"), {}
    yield "other_key", by_hand(b""), {}
    yield "not_utf8", by_hand(strategy_id, timeframe=text(b"\xff\xfe")), {}
    yield "too_many_items", by_hand(strategy_id, universe=number(1 << 40) + text(b"A") + b"\0"), {}
    yield "bad_branch", by_hand(strategy_id, coalesce_ms=number(7)), {}


def reports(strategy_id: str) -> Iterator[Bad]:
    """Results that are well written, and cannot count."""
    for version in (0, 9, -(1 << 62)):
        yield "unknown_version", value(strategy_id, ["B"], version=version), {}
    for ts_ms in (-1, START_MS * 1_000_000):
        yield "ts_out_of_range", value(strategy_id, ["B"], ts_ms=ts_ms), {}
    yield "bad_symbol", value(strategy_id, ["B", ""]), {}
    yield "bad_symbol", value(strategy_id, ["B", "L" * 65]), {}
    yield "too_many_symbols", value(strategy_id, WIDE), {}
    yield "too_large", value(strategy_id, [each.zfill(12) for each in WIDE]), {}
    yield "bad_status", value(strategy_id, ["B"], status="fine"), {}
    yield "bad_status", value(strategy_id, ["B"], status=""), {}
    yield "other_key", value("somebody else", ["B"]), {}
    yield "null_value", None, {}


def victim(name: str) -> Strategy:
    """A strategy that somebody will try to spoil; its ticker is nobody else's."""
    return Strategy(name, "5m", frozenset({name.upper()}), version=3)


def hostile_changes() -> list[tuple[Strategy, str, Given]]:
    """Whom each is about, the words, and the record."""

    def bad_of(now: Strategy) -> Iterator[Bad]:
        yield from framings(change_of(replace(now, version=4, timeframe="1m")), b"\0")
        yield from contents(now)

    return each_about_another("c", bad_of)


def hostile_results() -> list[tuple[Strategy, str, Given]]:
    """The same, of results."""

    def bad_of(now: Strategy) -> Iterator[Bad]:
        yield from framings(value(now.strategy_id, ["B"]), b"\0")
        yield from reports(now.strategy_id)

    return each_about_another("r", bad_of)


def each_about_another(prefix: str, bad_of: Callable[[Strategy], Iterator[Bad]]) -> list[tuple[Strategy, str, Given]]:
    """Every bad record that there is, each about a strategy of its own."""
    found = []
    for k, _ in enumerate(bad_of(victim(prefix))):
        now = victim(f"{prefix}{k}")
        words, sent, headers = next(islice(bad_of(now), k, None))
        found.append((now, words, Given(now.strategy_id.encode(), sent, headers=tuple(headers.items()))))
    return found
