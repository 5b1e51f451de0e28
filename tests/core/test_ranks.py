"""The places of ids in their order are the same, however many come at once and in whatever order."""

from hypothesis import given
from hypothesis import strategies as st

from streams.core.order import FEW, Ranks


@given(
    st.lists(st.text(min_size=1, max_size=3), unique=True, max_size=3 * FEW),
    st.lists(st.integers(0, 3 * FEW), max_size=6),
)
def test_ranks_are_those_of_a_sort_of_all(ids: list[str], cuts: list[int]) -> None:
    ranks = Ranks()
    for cut in [*sorted(cuts), len(ids)]:
        known = ids[:cut]
        assert ranks.of(known).tolist() == [sorted(known).index(each) for each in known]
