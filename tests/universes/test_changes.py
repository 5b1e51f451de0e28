"""Which versions the rules ask for, and which universes stay as they are."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.events import Mode, Status, Strategy
from streams.core.lifecycle import MAX_VERSION, Verdict, settle
from streams.universes.changes import Change, Doubts, Plan, by_reason, plan
from streams.universes.products import Product
from streams.universes.rules import Rule
from tests.universes.stage import some

NAMES = [f"C{number}" for number in range(10)]
PRODUCTS = some(*NAMES)
RULE = Rule("dollars", ("s1",), quote=frozenset({"USD"}), top=4)
S1 = Strategy("s1", "5m", frozenset({"C0", "C1", "C2", "OLD"}), Status.PAUSED, 7, "Asia/Tokyo", "XTKS", Mode.LEGACY, 5)
WANTED = frozenset({"C0", "C1", "C2", "C3"})


def planned(
    *standing: Strategy, rule: Rule = RULE, products: list[Product] = PRODUCTS, doubts: Doubts | None = None
) -> Plan:
    return plan([rule], {each.strategy_id: each for each in standing}, products, doubts or Doubts())


def test_the_next_version_has_the_universe_of_the_rule_and_all_else_as_it_was() -> None:
    found = planned(S1)
    assert found.problems == []
    reason = "rule dollars: 4 of 10 products, 1 new, 1 gone"
    assert found.changes == [Change(replace(S1, universe=WANTED, version=8), reason)]
    assert settle(S1, found.changes[0].strategy).verdict is Verdict.ACCEPTED


def test_nothing_is_changed_where_it_stands_already() -> None:
    assert planned(replace(S1, universe=WANTED)) == Plan([], [])


def test_a_strategy_for_every_ticker_gets_a_universe() -> None:
    (change,) = planned(Strategy("s1", "5m")).changes
    assert change.strategy == Strategy("s1", "5m", WANTED, version=2)


@pytest.mark.parametrize("standing", [[], [replace(S1, status=Status.DELETED)]])
def test_a_strategy_that_is_not_there_is_told_and_not_made(standing: list[Strategy]) -> None:
    (problem,) = planned(*standing).problems
    assert problem.kind == "no_strategy"
    assert "rule 'dollars', strategy 's1': there is no such strategy; import it" in problem.words


def test_a_universe_is_never_emptied_as_that_would_stand_for_every_ticker() -> None:
    for doubts in (Doubts(), Doubts(1)):
        found = planned(S1, rule=RULE._replace(quote=frozenset({"XXX"})), doubts=doubts)
        assert found.changes == []
        assert [each.kind for each in found.problems] == ["empty"]
        assert "an empty universe would stand for every ticker" in found.problems[0].words


def test_half_a_universe_is_written_when_it_has_been_asked_for_often() -> None:
    doubts, few = Doubts(), RULE._replace(top=1)
    for _ in range(2):
        (problem,) = planned(S1, rule=few, doubts=doubts).problems
        assert (problem.kind, "keeps 1 of 4 tickers only" in problem.words) == ("held", True)
    (change,) = planned(S1, rule=few, doubts=doubts).changes
    assert change.strategy.universe == {"C0"}
    assert len(planned(S1, rule=few, doubts=doubts).changes) == 1, "what was not written is asked for again"
    assert planned(change.strategy, rule=few, doubts=doubts) == Plan([], []), "it stands, and the count begins anew"
    assert planned(S1, rule=few, doubts=doubts).changes == []


def test_a_whole_universe_in_between_begins_the_count_anew() -> None:
    doubts = Doubts()
    for _ in range(3):
        for _ in range(2):
            assert planned(S1, rule=RULE._replace(top=1), doubts=doubts).changes == []
        planned(S1, doubts=doubts)


def test_whoever_lets_it_shrink_waits_for_nothing() -> None:
    assert len(planned(S1, rule=RULE._replace(top=1), doubts=Doubts(1)).changes) == 1


def test_a_version_that_cannot_follow_is_told_and_the_others_go_on() -> None:
    last, other = replace(S1, version=MAX_VERSION), replace(S1, strategy_id="s2")
    found = planned(last, other, rule=RULE._replace(strategies=("s1", "s2")))
    assert [each.kind for each in found.problems] == ["refused"]
    assert [each.strategy.strategy_id for each in found.changes] == ["s2"]


def test_what_is_written_for_the_same_reason_goes_together() -> None:
    found = planned(S1, replace(S1, strategy_id="s2"), rule=RULE._replace(strategies=("s1", "s2")))
    ((reason, versions),) = by_reason(found.changes).items()
    assert ([each.strategy_id for each in versions], "rule dollars" in reason) == (["s1", "s2"], True)


UNIVERSES = st.frozensets(st.sampled_from([*NAMES, "OLD"]))


@given(UNIVERSES, st.integers(1, 10), st.lists(st.sampled_from(PRODUCTS), unique=True))
def test_what_was_written_asks_for_nothing_more(universe: frozenset[str], top: int, products: list[Product]) -> None:
    now, rule = replace(S1, universe=universe), RULE._replace(top=top)
    found = planned(now, rule=rule, products=products, doubts=Doubts(1))
    for change in found.changes:
        assert change.strategy.universe
        assert change.strategy.version == now.version + 1
        assert planned(change.strategy, rule=rule, products=products) == Plan([], [])
    assert len(found.changes) + len(found.problems) <= 1
