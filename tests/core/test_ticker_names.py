"""The table of names that compiled code looks tickers up in is a dictionary, whatever the names."""

from itertools import islice, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.decode import FAULT, UNKNOWN, find_name
from streams.core.limits import MAX_TICKER_BYTES
from streams.core.plan import decode_plan
from streams.core.shard import Shard
from streams.core.tickers import FIRST_SIZE, Tickers
from tests.core.avro_bytes import TICK, codes, joined, tick
from tests.core.histories import CONDITIONS, OUT_OF_SEQUENCE

PLAN = decode_plan(TICK)
NEAR_EIGHT = st.text("a\0b", min_size=5, max_size=10)
ANY = st.text(st.characters(codec="utf-8"), min_size=1, max_size=64).filter(lambda name: len(name.encode()) <= 64)
NAMES = st.lists(NEAR_EIGHT | ANY | st.text("\0", min_size=1, max_size=64), max_size=60)


def numbers_of(shard: Shard, names: list[str]) -> list[int]:
    """What the decoder makes of ticks of these names."""
    ticks, faults = shard.from_values(*joined([tick(name.encode()) for name in names]), PLAN, 1)
    assert not faults.any()
    return [int(number) for number in ticks.ticker]


def found(tickers: Tickers, name: bytes) -> int:
    """What the table itself says, for a name that stands between others."""
    data = np.frombuffer(b"xx" + name + b"yy", np.uint8)
    return int(find_name(data, 2, len(name), tickers.names))


@given(st.lists(NAMES, max_size=4))
def test_names_are_numbered_as_a_dictionary_would(batches: list[list[str]]) -> None:
    shard, model = Shard(CONDITIONS), dict[str, int]()
    for names in batches:
        expected = [model.setdefault(name, len(model)) for name in names]
        assert numbers_of(shard, names) == expected
        assert shard.index.tickers.all_names() == list(model)
        assert shard.index.tickers.by_name == model
    again = [name for names in batches for name in reversed(names)]
    assert numbers_of(shard, again) == [model[name] for name in again]


def test_the_table_grows_and_keeps_every_name() -> None:
    names = ["".join(letters) for letters in islice(product("ABCDEFGHIJ\0", repeat=4), 9 * FIRST_SIZE)]
    names += [f"{name}{name}{k}" for k, name in enumerate(names)]
    shard = Shard(CONDITIONS)
    for start in range(0, len(names), 700):
        assert numbers_of(shard, names[start : start + 700]) == list(range(start, min(start + 700, len(names))))
    assert numbers_of(shard, names[::-1]) == list(range(len(names)))[::-1]
    slots = shard.index.tickers.names.slots
    assert 2 * len(names) <= len(slots) <= 8 * len(names)
    assert sorted(slots[slots != UNKNOWN].tolist()) == list(range(len(names)))


def test_every_length_and_every_filling_is_a_name_of_its_own() -> None:
    letters = ["\0", "\1", "a", "\x7f"]
    names = [letter * length for length in range(1, MAX_TICKER_BYTES + 1) for letter in letters]
    names += [
        f"{'a' * k}{letter}{'a' * (length - k - 1)}"
        for length in (7, 8, 9, 64)
        for k in range(length)
        for letter in "\0b"
    ]
    names = list(dict.fromkeys(names))
    shard = Shard(CONDITIONS)
    assert numbers_of(shard, names) == list(range(len(names)))
    assert numbers_of(shard, names) == list(range(len(names)))


@pytest.mark.parametrize("name", [b"a name of 19 bytes!", b"8 bytes!", b"7 bytes"])
def test_only_the_whole_name_is_that_name(name: bytes) -> None:
    tickers = Tickers()
    assert tickers.number(name.decode()) == 0
    assert found(tickers, name) == 0
    for k in range(len(name)):
        for other in (name[:k] + b"\0" + name[k + 1 :], name[:k] + name[k + 1 :], name[:k] + b"z" + name[k:]):
            assert found(tickers, other) == UNKNOWN


def test_long_names_with_one_key_are_told_apart_by_their_bytes_and_their_length() -> None:
    tickers = Tickers()
    tickers.number("first long name")
    names = tickers.names
    assert found(tickers, b"first long name") == 0
    names.arena[4] ^= 1  # as if another name had the same key
    assert found(tickers, b"first long name") == UNKNOWN
    names.arena[4] ^= 1
    names.lengths[0] -= 1
    assert found(tickers, b"first long name") == UNKNOWN


def test_names_that_begin_at_one_slot_are_all_found() -> None:
    tickers = Tickers()
    names = [f"T{k}" for k in range(FIRST_SIZE)]  # as full as the table ever is
    numbers = [tickers.number(name) for name in names]
    assert len(tickers.names.slots) == 2 * len(names)
    assert [found(tickers, name.encode()) for name in names] == numbers
    assert [found(tickers, f"S{k}".encode()) for k in range(2000)] == [UNKNOWN] * 2000


def test_a_ticker_whose_price_may_not_move_takes_no_room() -> None:
    shard = Shard(CONDITIONS)
    values = [tick(f"T{k}".encode(), conditions=codes(OUT_OF_SEQUENCE)) for k in range(50)]
    ticks, faults = shard.from_values(*joined(values), PLAN, 1)
    assert set(ticks.ticker.tolist()) == {UNKNOWN}
    assert set(faults.tolist()) == {FAULT.NONE}
    assert shard.index.tickers.all_names() == []
