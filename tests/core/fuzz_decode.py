"""Throws spoilt values at the decoder, by `python -m tests.core.fuzz_decode --cases 100000 --seed 7`.

Each value ends at a page that may not be touched, and so does all else that compiled code reads and writes.
What the decoder says must be what the plain reader says, fault by fault, and what `fastavro` reads.
A batch has a schema of its own, and random numbers that follow from the seed and its number alone.
"""

import argparse
import io
import json
import random
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final
from unittest.mock import patch

import fastavro

from streams.core import shard as shard_module
from streams.core.conditions import ConditionTable
from streams.core.decode import FAULT, Decoded, Names, decoded_columns
from streams.core.limits import MAX_CONDITIONS, MAX_TICKER_BYTES, MAX_TS_MS, MIN_TS_MS
from streams.core.plan import decode_plan
from streams.core.shard import Shard
from tests.core.avro_bytes import framed, number
from tests.core.guard_pages import PAGE, Slots, guarded
from tests.core.histories import BLOCKS
from tests.core.outcomes import outcomes_at
from tests.core.plain_reader import Outcome, PlainReader, is_utf8
from tests.core.tick_schemas import SchemaMaker, ValueMaker, layout

BATCH: Final = 500
POOL: Final = 12
SLOT_PAGES: Final = 2
HOSTILE: Final = [
    *(number(value) for value in (-1, 1, -2, 64, 255, 257, 1 << 16, 1 << 31, 1 << 40, 1 << 60, 1 << 62)),
    *(number(value) for value in (-(1 << 31), -(1 << 62), -(1 << 63), (1 << 63) - 1, 1 << 64, 1 << 70)),
    b"\x80" * 9 + b"\x01",
    b"\x80" * 9 + b"\x02",
    b"\x80" * 10 + b"\x01",
    b"\xff" * 11,
    b"\x80\x00",
]

FASTAVRO_IS_LAXER: Final = {FAULT.VARINT, FAULT.BRANCH, FAULT.ITEMS}
"""It takes numbers of more than 64 bits, counts branches from the end, and takes -(2**63) items for none."""

FRAMING: Final = {FAULT.MAGIC, FAULT.OTHER_SCHEMA}


def flip_bits(value: bytes, _: bytes, rng: random.Random) -> bytes:
    out = bytearray(value)
    for _flip in range(rng.choice([1, 1, 2, 8])):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def cut_short(value: bytes, _: bytes, rng: random.Random) -> bytes:
    return value[: rng.randrange(len(value))]


def splice(value: bytes, other: bytes, rng: random.Random) -> bytes:
    return value[: rng.randrange(len(value))] + other[rng.randrange(len(other)) :]


def put_number(value: bytes, _: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(value))
    return value[:at] + rng.choice(HOSTILE) + value[at + rng.choice([0, 1, 1, 2]) :]


def put_bytes(value: bytes, _: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(value))
    return value[:at] + rng.randbytes(rng.randint(1, 4)) + value[at + rng.randint(0, 4) :]


def repeat(value: bytes, _: bytes, rng: random.Random) -> bytes:
    at, end = sorted((rng.randrange(len(value)), rng.randrange(len(value))))
    return value[:end] + value[at:]


def leave(value: bytes, _: bytes, __: random.Random) -> bytes:
    return value


MUTATIONS: Final[list[Callable[[bytes, bytes, random.Random], bytes]]] = [
    flip_bits,
    flip_bits,
    cut_short,
    splice,
    put_number,
    put_number,
    put_bytes,
    repeat,
    leave,
]


def spoilt(pool: list[bytes], rng: random.Random) -> bytes:
    """A value of the pool, mostly changed. The framing is mostly left alone."""
    value, head = rng.choice(pool), 5 * (rng.random() < 0.9)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        if len(value) > head:
            body = rng.choice(MUTATIONS)(value[head:], rng.choice(pool)[head:], rng)
            value = value[:head] + body
    return value[: SLOT_PAGES * PAGE]


class Batch:
    """Values of one schema, and the readers that judge what the decoder says of them."""

    def __init__(self, seed: int, at: int, size: int) -> None:
        self.rng = rng = random.Random(f"{seed}/{at}")
        self.schema = SchemaMaker(rng).tick()
        self.conditions = ConditionTable(BLOCKS, unlisted_blocks=rng.random() < 0.5, names={})
        self.plain = PlainReader(self.schema, self.conditions)
        self.layout = fastavro.parse_schema(layout(self.schema))
        maker = ValueMaker(self.plain.schema, self.plain.named, rng)
        pool = [framed(maker.value()) for _ in range(POOL)]
        cuts = [pool[0][:end] for end in range(min(len(pool[0]), size // 10))]
        self.values = cuts + [spoilt(pool, rng) for _ in range(size - len(cuts))]

    def decoded(self, slots: Slots, *, alone: bool) -> list[Outcome]:
        """What the decoder says, with a forbidden page behind everything."""
        shard, plan = Shard(self.conditions), guarded(decode_plan(self.schema))
        tickers = shard.index.tickers
        tickers.names = Names._make(map(guarded, tickers.names))
        if alone:
            return [outcomes_at(shard, slots.place_alone(value), plan)[0] for value in self.values]
        return outcomes_at(shard, slots.place(self.values), plan)

    def disagreement(self, value: bytes, outcome: Outcome) -> str:
        """What another reader says; empty where all agree."""
        plain = self.plain.read(value)
        if outcome != plain:
            return f"the plain reader: {plain}"
        if outcome.fault in FRAMING | FASTAVRO_IS_LAXER:
            return ""
        record = self.read_fast(value)
        wanted = None if record is None else self.within_limits(record)
        if wanted == (outcome if outcome.fault == FAULT.NONE else None):
            return ""
        return f"fastavro: {record}"

    def read_fast(self, value: bytes) -> dict[str, Any] | None:
        """What fastavro reads; None where it can't, or leaves some over."""
        stream = io.BytesIO(value[5:])
        try:
            record: Any = fastavro.schemaless_reader(stream, self.layout, None, handle_unicode_errors="surrogateescape")
        except (EOFError, IndexError, ValueError, OverflowError):
            return None
        return record if stream.tell() == len(value) - 5 else None

    def within_limits(self, record: dict[str, Any]) -> Outcome | None:
        """What a record of fastavro's is to us; None where it is no tick."""
        ticker, ts_ms, codes = record["ticker"], record["ts"], record.get("conditions") or []
        if ticker is None or ts_ms is None or not MIN_TS_MS <= ts_ms < MAX_TS_MS or len(codes) > MAX_CONDITIONS:
            return None
        name = ticker.encode(errors="surrogateescape") if isinstance(ticker, str) else ticker
        moves = self.conditions.moves_price(codes)
        if not 0 < len(name) <= MAX_TICKER_BYTES or (moves and not is_utf8(name)):
            return None
        return Outcome(FAULT.NONE, name if moves else b"", ts_ms, moves)


def guarded_columns(size: int) -> Decoded:
    """What the decoder writes into."""
    return Decoded._make(map(guarded, decoded_columns(size)))


def fuzz(cases: int, seed: int, *, alone: bool) -> Counter[str]:
    """Run so many cases; returns how many had which fault."""
    slots, found = Slots(1 if alone else BATCH, SLOT_PAGES), Counter[str]()
    for at in range(-(-cases // BATCH)):
        batch = Batch(seed, at, min(BATCH, cases - at * BATCH))
        with patch.object(shard_module, "decoded_columns", guarded_columns):
            told = batch.decoded(slots, alone=alone)
        for value, outcome in zip(batch.values, told, strict=True):
            problem = batch.disagreement(value, outcome)
            if problem:
                schema = json.dumps(batch.schema)
                raise AssertionError(f"batch {at}: {outcome}; {problem}\nvalue: {value.hex(' ')}\nschema: {schema}")
            found[FAULT._fields[outcome.fault]] += 1
    return found


def main(arguments: list[str]) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.core.fuzz_decode", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, help="a fresh one unless given")
    parser.add_argument("--alone", action="store_true", help="each value in a call and an array of its own")
    options = parser.parse_args(arguments)
    seed = secrets.randbelow(1 << 32) if options.seed is None else options.seed
    say(f"seed {seed}")
    began = time.perf_counter()
    found = fuzz(options.cases, seed, alone=options.alone)
    say(f"{found.total():,} cases in {time.perf_counter() - began:.0f} s, nothing wrong")
    for name, count in found.most_common():
        say(f"  {name:18}{count:10,}")


def say(line: str) -> None:
    """Print a line at once: the next thing to happen may be the end of the process."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
