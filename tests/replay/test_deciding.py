"""The shard of a replay: universes that come as numbers decide as those of names do, and are written all the same."""

from pathlib import Path

import numpy as np
import pytest

from streams.core.events import Fire, Mode, Status, Strategy
from streams.core.shard import Shard
from streams.reference_data import load_conditions
from streams.replay.deciding import Deciding
from streams.replay.definitions import Definitions, as_read, as_they_are
from streams.replay.numbered_file import read_numbered
from streams.strategy_file import write_strategies

STRATEGIES = (
    Strategy("d", "1m", frozenset({"Z", "X", "Y"})),
    Strategy("b", "1m", frozenset({"Y", "A"}), Status.PAUSED),
    Strategy("c", "5m"),
    Strategy("a", "1m", frozenset({"Y", "Z"}), mode=Mode.LEGACY),
    Strategy("e", "5m", frozenset({"Y"})),
)
IN_ORDER = sorted(STRATEGIES, key=lambda strategy: strategy.strategy_id)
FILE = Path("strategies.json")
CONDITIONS = load_conditions()


def names_of(deciding: Deciding) -> list[set[str]]:
    names, found = deciding.universes()
    return [{names[at] for at in each.tolist()} for each in found]


def fires_of(shard: Shard) -> list[Fire]:
    names, count = ["Y", "A", "X", "NEW", "Z"], 400
    which, times = np.arange(count, dtype=np.int32) % np.int32(len(names)), np.arange(count) * 1_001
    ticks, refused = shard.from_names(names, which, times, np.ones(count, np.uint8))
    assert not refused
    return shard.named(shard.in_order(shard.step(ticks), count))


@pytest.fixture
def numbered(tmp_path: Path) -> Deciding:
    write_strategies(STRATEGIES, tmp_path / "strategies.jsonl")
    return Deciding(as_read(read_numbered(tmp_path / "strategies.jsonl")), FILE, CONDITIONS)


def test_universes_as_numbers_decide_as_names_do(numbered: Deciding) -> None:
    named = Deciding(as_they_are(STRATEGIES), FILE, CONDITIONS)
    expected = fires_of(named.shard)
    assert {(each.strategy_id, each.ticker) for each in expected} == {
        *(("d", each) for each in "XYZ"),
        *((each, "") for each in "ac"),
        ("e", "Y"),
    }
    assert fires_of(numbered.shard) == expected
    assert numbered.counts() == named.counts()


def test_they_are_written_as_they_are(numbered: Deciding) -> None:
    assert names_of(numbered) == [each.universe for each in IN_ORDER]


def test_tickers_of_strategies_that_are_not_active_take_no_room(numbered: Deciding) -> None:
    assert numbered.shard.index.tickers.all_names() == ["X", "Y", "Z"]


def test_definitions_of_variants_keep_theirs_as_they_are_told_by_their_sizes() -> None:
    definitions = Definitions([*IN_ORDER], [np.arange(len(IN_ORDER), dtype=np.int32)])
    deciding = Deciding(definitions, FILE, CONDITIONS)
    assert definitions.strategies == [*IN_ORDER]
    assert names_of(deciding) == [each.universe for each in IN_ORDER]
