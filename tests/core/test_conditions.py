"""Rule 1: the table that comes along says what the tape says, and a bad table is refused with its remedy."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.conditions import ConditionTableError, condition_table
from streams.core.limits import MAX_CONDITION_CODE
from streams.reference_data import load_conditions

DEFAULT = load_conditions()

NOT_THE_LAST_PRICE = {
    "average price": 2,
    "bunched sold": 5,
    "cash sale": 7,
    "derivatively priced": 10,
    "form T": 12,
    "extended hours, out of sequence": 13,
    "official close": 15,
    "official open": 16,
    "next day": 20,
    "price variation": 21,
    "prior reference price": 22,
    "seller": 29,
    "out of sequence": 32,
    "out of sequence, stopped stock": 33,
    "odd lot": 37,
    "non-eligible": 42,
    "non-eligible extended": 43,
    "cancelled": 44,
    "correction": 46,
    "as of": 47,
    "as of correction": 48,
    "as of cancel": 49,
    "summary": 51,
    "contingent": 52,
    "qualified contingent": 53,
    "errored": 54,
}


def entry(code: object = 7, **changes: object) -> dict[str, Any]:
    """One good entry, to be spoilt."""
    return {"code": code, "name": "Cash Sale", "updates_price": False, **changes}


def table(*entries: object, unlisted: object = True) -> dict[str, Any]:
    """A table of these entries."""
    return {"unlisted_updates_price": unlisted, "conditions": list(entries)}


@pytest.mark.parametrize("name", NOT_THE_LAST_PRICE)
def test_what_is_not_the_last_price_on_the_tape_does_not_move_it_here(name: str) -> None:
    assert not DEFAULT.moves_price([NOT_THE_LAST_PRICE[name]])


def test_every_other_listed_code_moves_the_price() -> None:
    blocked = {code for code in DEFAULT.names if not DEFAULT.moves_price([code])}
    assert blocked == set(NOT_THE_LAST_PRICE.values())


def test_the_workloads_codes_move_the_price() -> None:
    assert DEFAULT.moves_price([0, 14])


def test_a_trade_without_codes_moves_the_price() -> None:
    assert DEFAULT.moves_price([])


@pytest.mark.parametrize("codes", [[14, 37, 41], [37, 14, 41], [41, 14, 37], [37, 37]])
def test_one_code_that_forbids_it_is_enough_wherever_it_stands(codes: list[int]) -> None:
    assert not DEFAULT.moves_price(codes)


@pytest.mark.parametrize("code", [39, 61, MAX_CONDITION_CODE, MAX_CONDITION_CODE + 1, -1, -(1 << 31), (1 << 31) - 1])
@pytest.mark.parametrize("unlisted", [True, False])
def test_an_unlisted_code_does_as_the_table_says(code: int, *, unlisted: bool) -> None:
    assert condition_table(table(entry(), unlisted=unlisted)).moves_price([code]) is unlisted


def test_the_table_that_comes_along_lets_unlisted_codes_move_the_price() -> None:
    assert not DEFAULT.unlisted_blocks


@pytest.mark.parametrize("code", [0, MAX_CONDITION_CODE])
def test_the_first_and_the_last_code_can_be_listed(code: int) -> None:
    made = condition_table(table(entry(code)))
    assert not made.moves_price([code])
    assert int(made.blocks.sum()) == 1


def test_blocks_has_one_byte_a_code() -> None:
    assert DEFAULT.blocks.dtype == np.uint8
    assert DEFAULT.blocks.shape == (MAX_CONDITION_CODE + 1,)
    assert set(DEFAULT.blocks.tolist()) == {0, 1}


@given(
    st.dictionaries(st.integers(0, MAX_CONDITION_CODE), st.booleans()),
    st.booleans(),
    st.lists(st.integers(-3, MAX_CONDITION_CODE + 3)),
)
def test_the_columns_say_what_the_plain_rule_says(listed: dict[int, bool], unlisted: bool, codes: list[int]) -> None:
    made = condition_table(table(*(entry(c, updates_price=u) for c, u in listed.items()), unlisted=unlisted))
    expected = all(listed.get(code, unlisted) for code in codes)
    by_columns = not any(
        made.blocks[code] if 0 <= code <= MAX_CONDITION_CODE else made.unlisted_blocks for code in codes
    )
    assert made.moves_price(codes) is expected
    assert by_columns is expected


REFUSED: dict[str, tuple[object, str]] = {
    "not an object": ([], "the table: must be an object"),
    "a misspelt key": ({**table(), "unlisted": True}, "the table: unknown 'unlisted'; take it out"),
    "no default": ({"conditions": []}, '"unlisted_updates_price" must be true or false, not left out'),
    "a default in words": (table(unlisted="yes"), "must be true or false, not 'yes'"),
    "no list": ({"unlisted_updates_price": True}, '"conditions" must be a list'),
    "an entry that is no object": (table(entry(), 7), "entry 2: must be an object"),
    "a misspelt entry key": (table(entry(update_price=True)), "entry 1: unknown 'update_price'"),
    "a code twice": (table(entry(), entry(8), entry()), "entry 3: code 7 is listed twice; keep one"),
    "no code": (table({"name": "x", "updates_price": True}), 'entry 1: "code" must be a whole number'),
    "a code in words": (table(entry("7")), "from 0 to 255, not '7'"),
    "a code that is true": (table(entry(code=True)), "from 0 to 255, not True"),
    "half a code": (table(entry(7.5)), "from 0 to 255, not 7.5"),
    "a negative code": (table(entry(-1)), "from 0 to 255, not -1"),
    "too high a code": (table(entry(MAX_CONDITION_CODE + 1)), "from 0 to 255, not 256"),
    "no name": (table({"code": 7, "updates_price": True}), 'entry 1 (code 7): "name" must be a text'),
    "an empty name": (table(entry(name="")), '"name" must be a text that is not empty'),
    "no flag": (table({"code": 7, "name": "x"}), '(code 7): "updates_price" must be true or false, not left out'),
    "a flag as a number": (table(entry(updates_price=0)), '"updates_price" must be true or false, not 0'),
    "a why that is no text": (table(entry(why=3)), '(code 7): "why" must be a text'),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_table_is_refused_by_the_entry_and_the_remedy(case: str) -> None:
    raw, message = REFUSED[case]
    with pytest.raises(ConditionTableError) as caught:
        condition_table(raw)
    assert message in str(caught.value)


def test_a_message_stays_short_however_long_the_value() -> None:
    with pytest.raises(ConditionTableError) as caught:
        condition_table(table(entry("7" * 1_000_000)))
    assert len(str(caught.value)) < 200


def test_a_table_of_ones_own_is_read_also_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(table(entry(99))).encode())
    assert not load_conditions(path).moves_price([99])
    assert load_conditions(path).moves_price([7])


BAD_FILES = {
    "not JSON": (b"{", "not JSON"),
    "empty": (b"", "not JSON"),
    "not text": (b"\xff\xfe\xff", "not JSON"),
    "too deep": (b"[" * 100_000, "not JSON"),
    "a wrong entry": (json.dumps(table(entry(-1))).encode(), 'entry 1: "code" must be'),
    "a key twice": (
        b'{"unlisted_updates_price": true, "conditions": [{"code": 1, "code": 2}]}',
        "starts 'code': 1: 'code' is given twice",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_by_its_name(case: str, tmp_path: Path) -> None:
    content, message = BAD_FILES[case]
    path = tmp_path / "mine.json"
    path.write_bytes(content)
    with pytest.raises(ConditionTableError) as caught:
        load_conditions(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("place", ["nowhere.json", "."])
def test_a_file_that_cannot_be_read_is_refused_by_its_name(place: str, tmp_path: Path) -> None:
    with pytest.raises(ConditionTableError, match="cannot be read"):
        load_conditions(tmp_path / place)
