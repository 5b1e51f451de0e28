"""Coinbase's feed: its messages, and the way from a real WebSocket server to a real Kafka."""

import asyncio
import json
from typing import Any

import pytest

from streams.errors import InputError
from streams.feeds.coinbase import CHANNEL, Coinbase
from streams.feeds.live import Options, Summary, run_feed
from streams.settings import Settings
from tests.feeds.feed_server import FeedServer, Play, Talk, nothing
from tests.feeds.on_kafka import an_environment, letters, ticks_by_ticker
from tests.kafka.shared_broker import SharedBroker

RECORDED = {
    "trade_id": "12345",
    "product_id": "ETH-USD",
    "price": "1260.01",
    "size": "0.3",
    "side": "BUY",
    "time": "2019-08-14T20:42:27.265Z",
}
TS_MS = 1_565_815_347_265


def coin(number: int, product: str = "ETH-USD", size: str = "2", **more: Any) -> dict[str, Any]:
    """A trade as Coinbase's documentation shows it."""
    return {**RECORDED, "trade_id": str(number), "product_id": product, "price": f"{number}.5", "size": size, **more}


def message(number: int, *trades: Any, kind: str = "update", channel: str = CHANNEL) -> dict[str, Any]:
    events = [{"type": kind, "trades": list(trades)}]
    return {"channel": channel, "timestamp": "2023-02-09T20:19:35.39625135Z", "sequence_num": number, "events": events}


def read_of(feed: Coinbase, *messages: Any) -> tuple[list[tuple[str, int, float, int]], Any]:
    read = feed.read([json.dumps(each).encode() if not isinstance(each, bytes) else each for each in messages], 1)
    names = list(feed.encoder.names)
    columns = [column.tolist() for column in read.ticks[:4]]
    return [(names[at], ts, price, size) for at, ts, price, size in zip(*columns, strict=True)], read


def numbers_of(found: list[tuple[str, int, float, int]]) -> list[int]:
    return [int(price) for _, _, price, _ in found]


def test_a_trade_as_coinbase_shows_it_is_a_tick_of_whole_units() -> None:
    found, read = read_of(Coinbase(["ETH-USD"], 1), message(0, RECORDED))
    assert found == [("ETH-USD", TS_MS, 1260.01, 0)]
    assert read.resized == 1


@pytest.mark.parametrize(
    ("time", "ts_ms"),
    [
        ("2019-08-14T20:42:27Z", TS_MS - 265),
        ("2019-08-14T20:42:27.265999999Z", TS_MS),
        ("2019-08-14T22:42:27.265+02:00", TS_MS),
    ],
)
def test_times_are_rounded_down_to_ms(time: str, ts_ms: int) -> None:
    found, _ = read_of(Coinbase(["ETH-USD"], 1), message(0, coin(1, time=time)))
    assert found[0][1] == ts_ms


def test_a_snapshot_gives_what_has_not_come_before_the_oldest_first() -> None:
    feed = Coinbase(["ETH-USD"], 1)
    found, _ = read_of(feed, message(0, coin(3), coin(2), kind="snapshot"), message(1, coin(5), coin(4)))
    assert numbers_of(found) == [2, 3, 4, 5]
    feed.disconnected()
    found, read = read_of(feed, message(7, coin(7), coin(6), coin(5), coin(4), kind="snapshot"), message(8, coin(8)))
    assert numbers_of(found) == [6, 7, 8]
    assert (read.repeated, read.jumps) == (2, 0)


def test_a_trade_that_comes_late_is_a_trade() -> None:
    feed = Coinbase(["ETH-USD"], 1)
    read_of(feed, message(0, coin(5)))
    found, read = read_of(feed, message(1, coin(4)))
    assert (numbers_of(found), read.behind) == ([4], 1)


def test_a_trade_without_a_number_in_a_snapshot_is_not_taken_for_one_that_came() -> None:
    bare = {key: value for key, value in RECORDED.items() if key != "trade_id"}
    found, _ = read_of(Coinbase(["ETH-USD"], 1), message(0, bare, kind="snapshot"))
    assert len(found) == 1


def test_missing_messages_and_trades_are_gaps_with_their_ends() -> None:
    feed = Coinbase(["ETH-USD"], 1)
    beat = message(3, channel="heartbeats")
    _, read = read_of(feed, message(0, coin(5)), message(1, coin(6)), beat, message(4, coin(9)))
    assert [tuple(gap) for gap in read.gaps] == [
        ("the connection", "message 1", "message 3", 1),
        ("ETH-USD", "number 6", "number 9", 2),
    ]
    assert (read.jumps, read.missing, read.others) == (2, 3, 1)


BAD: list[Any] = [
    coin(1, price="much"),
    coin(1, price="nan"),
    coin(1, size="inf"),
    coin(1, time="yesterday"),
    coin(1, time="1950-01-01T00:00:00Z"),
    coin(1, product=""),
    coin(1, product="x" * 65),
    coin(1, trade_id="x"),
    coin(1, trade_id=str(1 << 63)),
    {"price": "1"},
    None,
]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_what_is_no_trade_goes_alone_and_is_named(bad: Any) -> None:
    found, read = read_of(Coinbase(["ETH-USD"], 1), message(0, coin(1), bad, coin(2)))
    assert numbers_of(found) == [1, 2]
    (refused,) = read.refused
    assert (refused.place, json.loads(refused.raw)) == ("message 1, trade 2", bad)


@pytest.mark.parametrize("bad", [b"", b"[]", b'{"events": 5}', b'{"channel":"market_trades","events":[5]}', b"\xff"])
def test_a_message_that_cannot_be_read_is_refused_and_the_others_go_on(bad: bytes) -> None:
    found, read = read_of(Coinbase(["ETH-USD"], 1), message(0, coin(1)), bad, message(1, coin(2)))
    assert (numbers_of(found), len(read.refused), read.gaps) == ([1, 2], 1, [])


def confirmed(number: int, *products: str) -> dict[str, Any]:
    return {
        "channel": "subscriptions",
        "sequence_num": number,
        "events": [{"subscriptions": {CHANNEL: list(products)}}],
    }


def test_a_greeting_waits_until_each_product_is_confirmed_and_keeps_what_came_meanwhile() -> None:
    greeting = Coinbase(["A-USD", "B-USD"], 1).greeting()
    assert json.loads(next(greeting) or b"")["product_ids"] == ["A-USD", "B-USD"]
    assert json.loads(next(greeting) or b"")["channel"] == "heartbeats"
    assert next(greeting) is None
    answers = [
        json.dumps(each).encode() for each in (confirmed(0, "A-USD"), message(1, coin(1)), confirmed(2, "B-USD"))
    ]
    assert [greeting.send(each) for each in answers[:2]] == [None, None]
    with pytest.raises(StopIteration) as stop:
        greeting.send(answers[2])
    assert stop.value.value == answers


async def accepts(talk: Talk, *products: str) -> None:
    """Coinbase's side of a greeting."""
    heard = [await talk.hear(), await talk.hear()]
    assert heard == [
        {"type": "subscribe", "product_ids": list(products), "channel": CHANNEL},
        {"type": "subscribe", "channel": "heartbeats"},
    ]
    await talk.say(message(0, coin(2), coin(1), kind="snapshot"), confirmed(1, *products))


def fed(settings: Settings, *plays: Play, times: int) -> Summary:
    async def run() -> Summary:
        async with FeedServer(*plays, nothing) as server:
            over = asyncio.Event()
            options = Options(server.url, 0, 1 << 20, only_relevant=False)
            running = asyncio.create_task(run_feed(Coinbase(["ETH-USD", "BTC-USD"], 1), settings, options, over))
            connected = asyncio.create_task(server.connected(times))
            await asyncio.wait({running, connected}, return_when=asyncio.FIRST_COMPLETED)
            over.set()
            connected.cancel()
            return await running

    return asyncio.run(run())


def test_trades_arrive_and_a_snapshot_closes_the_gap_of_a_lost_connection(real_broker: SharedBroker) -> None:
    settings = an_environment(real_broker.bootstrap)

    async def first(talk: Talk) -> None:
        await accepts(talk, "ETH-USD", "BTC-USD")
        await talk.say(message(2, coin(3), coin(1, "BTC-USD"), {"price": "1"}))

    async def second(talk: Talk) -> None:
        await talk.hear()
        await talk.hear()
        newest_first = [coin(number) for number in range(6, 0, -1)]
        await talk.say(message(0, *newest_first, kind="snapshot"), confirmed(1, "BTC-USD", "ETH-USD"))
        await talk.say(message(2, coin(7), coin(2, "BTC-USD")))

    summary = fed(settings, first, second, times=3)
    found = ticks_by_ticker(settings)
    assert {ticker: [int(price) for _, price, _, _ in ticks] for ticker, ticks in found.items()} == {
        "ETH-USD": [1, 2, 3, 4, 5, 6, 7],
        "BTC-USD": [1, 2],
    }
    assert [word for word, _, _ in letters(settings)] == ["bad_trade"]
    assert (summary.counts.repeated, summary.counts.gaps["disconnect"]) == (3, 1)
    assert (summary.counts.trades, summary.counts.sent) == (9, 9)


def test_a_product_that_is_not_known_ends_the_feed_with_words(real_broker: SharedBroker) -> None:
    async def refuses(talk: Talk) -> None:
        await talk.hear()
        await talk.say({"type": "error", "message": "ETH-USB is not a valid product"})

    summary = fed(an_environment(real_broker.bootstrap), refuses, times=2)
    assert isinstance(summary.refused, InputError)
    told = "the subscription to ETH-USD,BTC-USD: Coinbase refuses it (ETH-USB is not a valid product); name products"
    assert str(summary.refused).startswith(told)
