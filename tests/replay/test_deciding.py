"""The shard of a replay holds tickers by number; their names are let go of, and written all the same."""

from pathlib import Path

import numpy as np

from streams.core.entry import HELD_AS_NUMBERS
from streams.core.events import Status, Strategy
from streams.replay.deciding import Deciding
from streams.replay.definitions import Definitions, as_they_are

STRATEGIES = (
    Strategy("a", "1m", frozenset({"X", "Y"})),
    Strategy("b", "1m", frozenset({"Y", "Z"}), Status.PAUSED),
    Strategy("c", "5m"),
)
FILE = Path("strategies.json")


def names_of(deciding: Deciding) -> list[set[str]]:
    names, found = deciding.universes()
    return [{names[at] for at in each.tolist()} for each in found]


def test_names_that_the_shard_has_by_number_are_let_go_of_and_are_written_all_the_same() -> None:
    definitions = as_they_are(STRATEGIES)
    deciding = Deciding(definitions, FILE)
    deciding.hold_as_numbers()
    held = [each.universe for each in definitions.strategies]
    assert held == [HELD_AS_NUMBERS, STRATEGIES[1].universe, frozenset()]
    assert names_of(deciding) == [each.universe for each in STRATEGIES]


def test_definitions_of_variants_keep_theirs_as_they_are_told_by_their_sizes() -> None:
    definitions = Definitions([*STRATEGIES], [np.array([0, 1, 2], np.int32)])
    deciding = Deciding(definitions, FILE)
    deciding.hold_as_numbers()
    assert definitions.strategies == [*STRATEGIES]
    assert names_of(deciding) == [each.universe for each in STRATEGIES]
