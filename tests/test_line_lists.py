"""Lists that are found in lines of JSON without a parser: what the parser would have made of them, or nothing."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.entry_files import line_lists
from streams.entry_files.line_lists import LineLists
from streams.entry_files.listed import Listed

PIECES = (
    *('{"id": "s", "universe": [', '"universe"', '"id"', '"A"', '"BC"', '"é"', '"longer than eight"', '"a\\"b"', '"'),
    *("{", "}", "[", "]", ":", ", ", ",", " ", "\t", "\r", "\n", "null", "0", "e5", "\\", "x", "\x01"),
)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'), max_size=20)


def plain(value: dict[str, Any] | None) -> dict[str, Any] | None:
    return value and {name: list(field) if isinstance(field, Listed) else field for name, field in value.items()}


def as_the_parser_has_it(text: str) -> None:
    lists = LineLists(text, "universe", json.loads)
    for number, line in enumerate(text.split("\n")):
        found = lists.value(number)
        assert found is None or plain(found) == json.loads(line)


@given(st.lists(st.sampled_from(PIECES)).map("".join))
@example('{"a": "b"universe": ["A"]}')
@example('{"name": {"universe": ["A"]}}')
@example('{"universe": ["A"]e5}\n{"universe": ["A"]"B"}\n{"universe": ["A"] ["B"]}')
def test_what_is_found_in_any_text_is_what_the_parser_makes_of_it(text: str) -> None:
    as_the_parser_has_it(text)


@given(st.lists(names, max_size=5), st.integers(0, 80), st.sampled_from(PIECES))
def test_a_line_that_is_spoilt_anywhere_is_left_to_the_parser_or_is_good(
    tickers: list[str], at: int, piece: str
) -> None:
    line = json.dumps({"id": "s", "universe": tickers, "timeframe": "1m"}, ensure_ascii=False)
    as_the_parser_has_it(f"{line}\n{line[:at]}{piece}{line[at:]}\n{line[:at]}{line[at + 1 :]}\n{line}")


@given(st.lists(st.lists(names, max_size=8), min_size=1, max_size=8), st.sampled_from([(",", ":"), (" ,\t", " : ")]))
def test_usual_lines_are_found_and_equal_texts_have_one_number(
    universes: list[list[str]], separators: tuple[str, str]
) -> None:
    lines = [{"id": f"s{at}", "universe": tickers, "n": at} for at, tickers in enumerate(universes)]
    text = "\n".join(json.dumps(line, ensure_ascii=False, separators=separators) for line in lines)
    lists = LineLists(text, "universe", json.loads)
    values = [lists.value(at) or {} for at in range(len(lines))]
    assert [plain(each) for each in values] == lines
    known = sorted({ticker for tickers in universes for ticker in tickers})
    numbers = {name: at + 7 for at, name in enumerate(known)}
    for value, tickers in zip(values, universes, strict=True):
        assert value["universe"].called(numbers).tolist() == [numbers[each] for each in tickers]
        assert len(value["universe"]) == len(tickers)


def test_a_text_without_a_number_is_told_until_it_has_one() -> None:
    value = LineLists('{"universe": ["A", "B", "A"]}', "universe", json.loads).value(0)
    assert value is not None
    with pytest.raises(KeyError, match="B"):
        value["universe"].called({"A": 1})
    assert np.array_equal(value["universe"].called({"A": 1, "B": 0}), [1, 0, 1])


def test_texts_past_the_bound_are_left_to_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_lists, "MAX_TEXTS", 2)
    text = "\n".join(json.dumps({"universe": tickers}) for tickers in (["A", "B"], ["A", "C"], ["B", "A"]))
    lists = LineLists(text, "universe", json.loads)
    assert [plain(lists.value(at)) for at in range(3)] == [{"universe": ["A", "B"]}, None, {"universe": ["B", "A"]}]
