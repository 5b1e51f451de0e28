"""Ticks that come with a list of names: their tickers by the shard's numbers, however the list grows and is cut."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.core.decode import UNKNOWN
from streams.core.numbered import Numbered
from streams.core.tickers import Tickers

NAMES = [f"T{at}" for at in range(12)]


@given(st.lists(st.lists(st.integers(0, 11), max_size=8), max_size=6), st.integers(1, 12), st.booleans())
def test_tickers_are_numbered_as_their_ticks_come_and_room_goes_to_the_first(
    batches: list[list[int]], limit: int, same: bool
) -> None:
    tickers, names = Tickers(limit), list[str]()
    numbered, wanted = Numbered(tickers), dict[str, int]()
    for batch in batches:
        names += NAMES[len(names) : max(batch, default=0) + 1]
        found = numbered.of(names if same else list(names), np.array(batch, np.int32)).tolist()
        for at in batch:
            if len(wanted) < limit:
                wanted.setdefault(NAMES[at], len(wanted))
        assert found == [wanted.get(NAMES[at], UNKNOWN) for at in batch]
    assert tickers.by_name == wanted


def test_another_list_is_another_meaning() -> None:
    numbered = Numbered(Tickers())
    assert numbered.of(["A", "B"], np.array([1, 0], np.int32)).tolist() == [0, 1]
    assert numbered.of(["B", "A"], np.array([1, 0], np.int32)).tolist() == [1, 0]
