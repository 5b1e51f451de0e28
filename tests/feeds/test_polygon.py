"""Polygon's messages: a trade comes through as it is, what is none is named, and a greeting goes step by step."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.columns import Int64s
from streams.errors import InputError
from streams.feeds.polygon import Polygon
from streams.feeds.sequences import Sequences
from streams.feeds.trades import MOST_SIZE, NO_TIME, Read, UnansweredError, in_ms, relevant, whole_sizes
from streams.reference_data import load_conditions
from tests.feeds.feed_server import KEY, status, trade

NS = 1_536_036_818_784_999_999
Row = tuple[str, int, float, int, tuple[int, ...]]


def polygon(*tickers: str) -> Polygon:
    return Polygon(KEY, tickers, 1)


def rows(feed: Polygon, read: Read) -> list[Row]:
    names, conditions = list(feed.encoder.names), list(feed.encoder.conditions)
    return [
        (names[ticker], ts, price, size, tuple(conditions[at] or ()))
        for ticker, ts, price, size, at in zip(*(column.tolist() for column in read.ticks), strict=True)
    ]


def message(*events: Any) -> bytes:
    return json.dumps(events).encode()


def test_a_trade_as_polygon_shows_it_is_a_tick() -> None:
    first, last = (
        b'[{"ev":"T","sym":"MSFT","i":"50578","x":4,"p":114.125,',
        b'"c":[0,12],"t":1536036818784,"z":3,"q":3681328}]',
    )
    recorded = first + b'"s":100,' + last
    feed = polygon()
    assert rows(feed, feed.read([recorded], 1)) == [("MSFT", 1536036818784, 114.125, 100, (0, 12))]


def test_times_in_ns_are_rounded_down_to_ms_and_what_is_neither_is_none() -> None:
    times = [0, 1_536_036_818_784, 4_102_444_799_999, NS, 4_102_444_799_999_999_999, 10**17]
    in_time = [0, 1_536_036_818_784, 4_102_444_799_999, NS // 10**6, 4_102_444_799_999, 10**11]
    assert in_ms(np.array(times)).tolist() == in_time
    neither = [-1, 4_102_444_800_000, 1_536_036_818_784_999, 10**17 - 1, 4_102_444_800_000_000_000]
    assert in_ms(np.array(neither)).tolist() == [NO_TIME] * len(neither)


def test_sizes_are_rounded_down_and_cut_off_and_that_is_counted() -> None:
    sizes, changed = whole_sizes([100, 0.7, 7.0, 1e12, MOST_SIZE, -4])
    assert (sizes.tolist(), changed) == ([100, 0, 7, MOST_SIZE, MOST_SIZE, 0], 3)


BAD: list[tuple[Any, str]] = [
    ({"ev": "T"}, "bad_trade"),
    (trade("A", 1, p="1.5"), "bad_trade"),
    (trade("A", 1, p=None), "bad_trade"),
    (trade("A", 1, c=[1 << 31]), "bad_trade"),
    (trade("A", 1, c=[0] * 257), "bad_trade"),
    (trade("A", 1, s="many"), "bad_trade"),
    (trade("A", 1, q=1 << 63), "bad_trade"),
    ({**trade("A", 1), "t": 1 << 63}, "bad_trade"),
    ({**trade("A", 1), "t": 1_536_036_818_784_999}, "ts_out_of_range"),
    ({**trade("A", 1), "t": -5}, "ts_out_of_range"),
    (trade("", 1), "bad_trade"),
    (trade("A" * 65, 1), "bad_trade"),
    (trade("ü" * 33, 1), "bad_ticker"),
    (trade("\ud800", 1), "bad_event"),
    (trade("A", 1, p=float("inf")), "bad_event"),
    ("T", "bad_event"),
    ([], "bad_event"),
    (None, "bad_event"),
    ({}, "bad_event"),
    ({"ev": 5}, "bad_event"),
]


@pytest.mark.parametrize(("bad", "word"), BAD, ids=[f"{at}" for at in range(len(BAD))])
def test_what_is_no_trade_goes_alone_and_is_named(bad: Any, word: str) -> None:
    feed = polygon()
    good = [trade("A", number) for number in range(1, 5)]
    read = feed.read([message(good[0]), message(good[1], bad, good[2]), message(good[3])], 10)
    assert [row[1] for row in rows(feed, read)] == [each["t"] for each in good]
    (refused,) = read.refused
    assert refused.reason.word == word
    assert refused.place == "message 11, event 2"
    assert json.loads(refused.raw) == bad


WHOLE_MESSAGES = [
    b"",
    b"{",
    b"null",
    b'{"ev":"T"}',
    b"\xff\xfe",
    b"[" * 100_000,
    b'[{"ev":"T","sym":"\xff"}]',
    b"[1e999]",
]


@pytest.mark.parametrize("bad", WHOLE_MESSAGES, ids=range(len(WHOLE_MESSAGES)))
def test_a_message_that_cannot_be_read_is_refused_and_the_others_go_on(bad: bytes) -> None:
    feed = polygon()
    read = feed.read([message(trade("A", 1)), bad, message(trade("A", 2))], 1)
    assert len(rows(feed, read)) == 2
    assert len(read.refused) == 1
    assert read.refused[0].place.startswith("message 2")


def test_what_is_no_trade_and_does_no_harm_is_counted() -> None:
    feed = polygon()
    read = feed.read(
        [message(*status("info", "maintenance\nsoon"), {"ev": "Q", "sym": "A", "bp": 1}, trade("A", 1))], 1
    )
    assert (read.said, read.others, len(read.ticks.ts_ms)) == (["info: maintenance?soon"], 1, 1)


def test_a_trade_without_conditions_has_none_and_the_relevant_ones_can_be_picked() -> None:
    feed = polygon()
    events = [trade("A", 1, c=[0, 14]), trade("A", 2, c=[37]), trade("A", 3, c=None), trade("A", 4, c=[])]
    events.append({key: value for key, value in trade("A", 5).items() if key != "c"})
    read = feed.read([message(*events)], 1)
    assert [row[4] for row in rows(feed, read)] == [(0, 14), (37,), (), (), ()]
    picked = read._replace(ticks=relevant(read.ticks, feed.encoder, load_conditions()))
    assert [row[1] - trade("A", 0)["t"] for row in rows(feed, picked)] == [1, 3, 4, 5]


EVENTS = st.lists(
    st.one_of(
        st.builds(
            trade,
            st.sampled_from(["A", "BB", "ü", "ü" * 33, "x" * 64]),
            st.integers(0, 50),
            st.sampled_from([1_536_036_818_784, NS, 10**15]),
            c=st.sampled_from([None, [], [0], [37, -1]]),
            p=st.sampled_from([1, 2.5, "3"]),
        ),
        st.sampled_from([{"ev": "Q"}, {}, 7, *status("a", "b")]),
    ),
    max_size=6,
)


@given(st.lists(EVENTS, max_size=4))
def test_messages_read_at_once_are_messages_read_event_by_event(messages: list[Any]) -> None:
    at_once, one_by_one = polygon(), polygon()
    read = at_once.read([message(*events) for events in messages], 1)
    parts = [one_by_one.read([message(event)], 1) for events in messages for event in events]
    assert rows(at_once, read) == [row for part in parts for row in rows(one_by_one, part)]
    assert [each.raw for each in read.refused] == [each.raw for part in parts for each in part.refused]
    assert read.others == sum(part.others for part in parts)
    for count in ("jumps", "missing", "behind"):
        assert getattr(read, count) == sum(getattr(part, count) for part in parts)


NUMBERS = st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 9)), max_size=30)


@given(NUMBERS, st.integers(0, 30))
def test_jumps_are_those_that_one_finds_number_by_number(numbers: list[tuple[int, int]], cut: int) -> None:
    sequences, last = Sequences(), dict[int, int]()
    found, behind = list[tuple[int, int, int]](), 0
    for part in (numbers[:cut], numbers[cut:]):
        columns: Int64s = np.array(part, np.int64).reshape(-1, 2)
        jumps = sequences.look(columns[:, 0].astype(np.int32), columns[:, 1])
        found += zip(jumps.ticker.tolist(), jumps.before.tolist(), jumps.after.tolist(), strict=True)
        behind += jumps.behind
    wanted, wanted_behind = list[tuple[int, int, int]](), 0
    for ticker, number in numbers:
        if number < 0:
            continue
        before = last.get(ticker)
        if before is not None and number > before + 1:
            wanted.append((ticker, before, number))
        wanted_behind += before is not None and number <= before
        last[ticker] = number
    assert (sorted(found), behind) == (sorted(wanted), wanted_behind)


def test_gaps_are_named_by_ticker_and_number() -> None:
    feed = polygon()
    read = feed.read([message(trade("A", 5), trade("B", 1), trade("A", 9), trade("B", 2))], 1)
    assert [tuple(gap) for gap in read.gaps] == [("A", "number 5", "number 9", 3)]
    assert (read.jumps, read.missing) == (1, 3)


def talked(feed: Polygon, *answers: Any) -> tuple[list[Any], list[bytes]]:
    """Go through a greeting; returns what was sent, and what is to be read again."""
    greeting, sent, left = feed.greeting(), list[Any](), list(answers)
    said = next(greeting)
    while True:
        try:
            if said is not None:
                sent.append(json.loads(said))
                said = next(greeting)
            else:
                said = greeting.send(left.pop(0) if isinstance(left[0], bytes) else json.dumps(left.pop(0)).encode())
        except StopIteration as stop:
            return sent, stop.value


WELCOME = (status("connected", "Connected Successfully"), status("auth_success", "authenticated"))


def test_a_greeting_waits_for_the_confirmation_of_each_ticker_and_keeps_trades_that_came_before() -> None:
    early = message(trade("A", 1), *status("success", "subscribed to: T.B"))
    sent, kept = talked(polygon("A", "B"), *WELCOME, status("success", "subscribed to: T.A"), early)
    assert sent == [{"action": "auth", "params": KEY}, {"action": "subscribe", "params": "T.A,T.B"}]
    assert kept == [early]


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        (
            [status("auth_failed", "authentication failed")],
            "TICKGATE_POLYGON_KEY: Polygon refuses it (auth_failed: auth",
        ),
        (
            [WELCOME[1], status("error", "not authorized")],
            "the subscription to T.*: Polygon refuses it (error: not auth",
        ),
    ],
)
def test_a_refusal_is_told_with_a_remedy_and_without_the_key(answers: list[Any], told: str) -> None:
    with pytest.raises(InputError) as caught:
        talked(polygon(), WELCOME[0], *answers)
    assert str(caught.value).startswith(told)
    assert KEY not in str(caught.value)


def test_a_key_that_is_quoted_back_is_not_shown() -> None:
    with pytest.raises(InputError) as caught:
        talked(polygon(), WELCOME[0], status("auth_failed", f"no account for {KEY}"))
    assert KEY not in str(caught.value)


def test_too_many_connections_are_no_reason_to_give_up() -> None:
    with pytest.raises(UnansweredError, match="max_connections"):
        talked(polygon(), *WELCOME, status("max_connections", "Maximum number of connections exceeded."))
