"""What is held of the topics: rows out of order, bad ones, those that Redis has already; and pairs against a dict."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.events import Status, Strategy, Tombstone
from streams.core.records import records_of
from streams.core.special_rows import STRATEGY_KEY
from streams.kafka.strategy_book import Change, Place
from streams.topic_names import STRATEGY_CHANGES
from streams.views.redis import pairs as pairs_file
from streams.views.redis.held import EVERYTHING, LAST_BUCKET, LAST_UPDATE, Held
from streams.views.redis.pairs import Pairs, TooManyPairsError
from tests.core.changelogs import bucket_row, key_of, strategy_row, update_row
from tests.views.redis.market import run_of

T0 = 1_760_000_040_000
MINUTE = 60_000


def held() -> Held:
    """Strategies `a` and `b` stand."""
    made = Held(lambda _: frozenset({"X"}))
    for at, name in enumerate("ab"):
        made.take_change(Change(Place(0, at), Strategy(name, "1m", frozenset({"X"}))))
    made.changes_positions = lambda: {0: 2}
    return made


def take(into: Held, table: str, start: int, *rows: tuple[bytes, bytes | None]) -> None:
    into.take_rows(table, run_of(table, 0, start, records_of(rows, T0)))


def buckets(of: Held) -> dict[str, dict[str, int]]:
    found = {name: dict(of.buckets_of(number)) for name, number in of.strategies.items()}
    return {name: {ticker.decode(): at for ticker, at in each.items()} for name, each in found.items()}


def strategy(name: str, log_number: int) -> tuple[bytes, bytes]:
    return STRATEGY_KEY + name.encode(), strategy_row(log_number)


def pair(ticker: str, of: Mapping[int, int]) -> tuple[bytes, bytes]:
    return key_of(ticker), bucket_row(of)


def test_a_row_whose_strategy_stands_behind_it_waits_and_holds_the_position_back() -> None:
    here = held()
    take(here, LAST_BUCKET, 0, strategy("a", 0), pair("X", {0: T0}), pair("Y", {0: T0, 1: T0}), pair("Z", {0: T0}))
    positions = here.gather(EVERYTHING)
    assert positions[LAST_BUCKET, 0] == 2, "it must be read again by whoever comes next"
    assert buckets(here)["a"] == {"X": T0, "Z": T0}
    take(here, LAST_BUCKET, 5, strategy("b", 1))
    assert here.gather(EVERYTHING)[LAST_BUCKET, 0] == 7
    assert buckets(here) == {"a": {"X": T0, "Y": T0, "Z": T0}, "b": {"Y": T0}}
    assert here.bad_rows == 0


def test_a_bad_row_costs_only_itself(caplog: pytest.LogCaptureFixture) -> None:
    here = held()
    take(here, LAST_UPDATE, 0, (b"X", update_row(T0)), (b"Y", b"\2what"), (b"Z", b""), (b"W", update_row(T0 + 1)))
    good, cut = pair("X", {0: T0}), (b"Y", pair("Y", {0: T0})[1][:-1])
    take(here, LAST_BUCKET, 0, strategy("a", 0), (STRATEGY_KEY + b"b", b"\7"), cut, good, cut)
    positions = here.gather(EVERYTHING)
    assert {name: int(here.update_ms[at]) for name, at in here.tickers.items() if here.update_ms[at] > 0} == {
        b"X": T0,
        b"W": T0 + 1,
    }
    assert buckets(here)["a"] == {"X": T0}
    assert here.bad_rows == 4
    assert positions[LAST_UPDATE, 0] == 5
    assert positions[LAST_BUCKET, 0] == 6
    assert "offset 1, row b'Y': its version is not known here" in caplog.text


def test_what_redis_has_is_held_and_not_written_again() -> None:
    here = held()
    take(here, LAST_UPDATE, 0, (b"X", update_row(T0)), (b"Y", update_row(T0)))
    take(here, LAST_BUCKET, 0, strategy("a", 0), pair("X", {0: T0}), pair("Y", {0: T0}))
    here.gather({(LAST_UPDATE, 0): 1, (LAST_BUCKET, 0): 2, (STRATEGY_CHANGES, 0): 1})
    assert [here.names[at] for at in here.updates_left()] == [b"Y"]
    assert [here.names[at] for at in here.pairs.tickers(here.pairs_left())] == [b"Y"]
    assert [here.ids[at] for at in here.strategies_to_write] == ["b"]
    assert len(here.pairs) == 2


def test_the_buckets_of_a_deleted_strategy_wait_for_it_to_come_back() -> None:
    here = held()
    take(here, LAST_BUCKET, 0, strategy("a", 0), pair("X", {0: T0}))
    here.gather(EVERYTHING)
    here.pairs.to_write[:] = False  # Redis has them
    here.take_change(Change(Place(0, 2), Strategy("a", "1m", frozenset({"X"}), Status.DELETED, 2)))
    here.take_change(Change(Place(0, 3), Tombstone("a")))
    take(here, LAST_BUCKET, 3, pair("X", {0: T0 + MINUTE}))
    here.gather(EVERYTHING)
    assert not len(here.pairs_left())
    here.take_change(Change(Place(0, 4), Strategy("a", "1m", frozenset({"X"}))))
    here.gather(EVERYTHING)
    assert here.pairs.bucket_ms[here.pairs_left()].tolist() == [T0 + MINUTE]


PUT = st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(1, 9), st.booleans())


@given(st.lists(st.lists(PUT, max_size=12), max_size=8))
def test_pairs_are_what_a_dict_would_hold(batches: list[list[tuple[int, int, int, bool]]]) -> None:
    pairs = Pairs()
    last: dict[tuple[int, int], int] = {}
    to_write: dict[tuple[int, int], bool] = {}
    for batch in batches:
        newest: dict[tuple[int, int], tuple[int, bool]] = {}
        for strategy_number, ticker, bucket_ms, write in batch:  # one row a ticker: the newest of each pair counts
            newest[strategy_number, ticker] = max(
                (bucket_ms, write), newest.get((strategy_number, ticker), (0, False)), key=lambda each: each[0]
            )
        for key, (bucket_ms, write) in newest.items():
            if bucket_ms > last.get(key, 0):
                to_write[key] = write or to_write.get(key, False)
                last[key] = bucket_ms
        of, ticker_of = (np.array([key[i] for key in newest], np.int64) for i in range(2))
        at_ms, flags = (np.array([value[i] for value in newest.values()], np.int64) for i in range(2))
        pairs.put(of.astype(np.int32), ticker_of, at_ms, flags > 0)
    which = np.arange(len(pairs))
    found = list(zip(pairs.strategies(which).tolist(), pairs.tickers(which).tolist(), strict=True))
    assert dict(zip(found, pairs.bucket_ms.tolist(), strict=True)) == last
    assert dict(zip(found, pairs.to_write.tolist(), strict=True)) == to_write
    assert found == sorted(found)
    for number in range(4):
        assert pairs.strategies(which[pairs.of(number)]).tolist() == [number] * sum(key[0] == number for key in last)


def test_there_is_an_end_to_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs_file, "MOST_PAIRS", 3)
    pairs, ones = Pairs(), np.ones(4, np.int64)
    pairs.put(np.arange(3, dtype=np.int32), ones[:3], ones[:3], ones[:3] > 0)
    with pytest.raises(TooManyPairsError, match="more than 3 pairs"):
        pairs.put(np.arange(4, dtype=np.int32), ones, ones, ones > 0)
