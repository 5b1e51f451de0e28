"""Polygon's feed from a real WebSocket server to a real Kafka: there stands what the server sent, in its order."""

import asyncio
import gc
import json
import logging
from typing import Any

import pytest

from streams.demo.stage import free_port
from streams.errors import InputError
from streams.feeds import live
from streams.feeds.live import Options, Summary, run_feed
from streams.feeds.polygon import Polygon
from streams.kafka.kafka_process import KafkaProcess
from tests.feeds.feed_server import KEY, FeedServer, Talk, nothing, status, trade, welcome
from tests.feeds.on_kafka import an_environment, expected, letters, ticks_by_ticker
from tests.feeds.playing import burst, fed, flat, followed, looked_at, over_at_the_next_attempt, says
from tests.kafka.shared_broker import SharedBroker
from tests.serving import samples


def test_a_burst_arrives_as_it_was_sent(real_broker: SharedBroker) -> None:
    settings, messages = an_environment(real_broker.bootstrap), burst(0, 400, 50)
    summary = fed(settings, says(*messages))
    assert ticks_by_ticker(settings) == expected(flat(messages))
    counts = summary.counts
    assert (counts.trades, counts.sent, summary.not_delivered_bytes) == (20_000, 20_000, 0)
    assert (counts.missing, counts.behind, counts.malformed.total(), counts.gaps["disconnect"]) == (0, 0, 0, 0)
    assert letters(settings) == []


def test_what_is_no_trade_is_a_dead_letter_and_the_rest_arrives(
    real_broker: SharedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    settings = an_environment(real_broker.bootstrap)
    good = [trade("A", 1), trade("B", 2, t=1_536_036_818_784_999_999), trade("A", 3, c=None), trade("Ü", 4, s=0.5)]
    bad: list[Any] = [{"ev": "T", "sym": "A"}, trade("A", 9, p="much"), trade("", 1), 12]
    summary = fed(settings, says([good[0], bad[0], good[1]], bad[1:], "not JSON", [*good[2:], {"ev": "Q"}]))
    assert ticks_by_ticker(settings) == expected(good)
    found = letters(settings)
    assert [json.loads(value) for _, _, value in found[:4]] == bad
    assert found[4][2] == b"not JSON"
    assert [word for word, _, _ in found] == ["bad_trade", "bad_trade", "bad_trade", "bad_event", "bad_message"]
    assert found[0][1] == "polygon, message 1, event 2: Object missing required field `p`"
    assert (summary.counts.malformed.total(), summary.counts.others, summary.counts.resized) == (5, 1, 1)
    assert "no trade: bad_trade: polygon, message 1, event 2" in caplog.text


def test_a_lost_connection_is_a_gap_with_its_ends_and_the_feed_goes_on(
    real_broker: SharedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    settings, first, second = an_environment(real_broker.bootstrap), burst(0, 4, 40), burst(400, 2, 40)

    async def is_cut(talk: Talk) -> None:
        await welcome(talk)
        await talk.say(*first)
        await talk.close(1011, "slow consumer")

    summary = fed(settings, is_cut, says(*second))
    assert ticks_by_ticker(settings) == expected(flat([*first, *second]))
    counts = summary.counts
    assert dict(counts.gaps) == {"disconnect": 1, "sequence": 40}
    assert counts.missing == 40 * 6
    assert counts.reconnects == 2
    assert "disconnected with 1011 (slow consumer); next attempt in 0." in caplog.text
    assert "polygon: a gap from 2018-09-04T04:53:38.787Z to 2018-09-04T04:53:38.794Z, by a lost" in caplog.text
    assert "polygon: T0 goes from number 3 to number 10: 6 left out" in caplog.text


def test_only_what_may_move_the_price_where_that_is_asked_for(real_broker: SharedBroker) -> None:
    settings = an_environment(real_broker.bootstrap)
    events = [trade("A", 1, c=[0]), trade("A", 2, c=[37]), trade("A", 3, c=[14, 41]), trade("A", 4, c=[0, 10])]
    summary = fed(settings, says(events), only_relevant=True)
    assert ticks_by_ticker(settings) == expected([events[0], events[2]])
    assert (summary.counts.trades, summary.counts.left_out, summary.counts.sent) == (4, 2, 2)


def test_a_wrong_key_ends_the_feed_with_words_and_without_the_key(
    real_broker: SharedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuses(talk: Talk) -> None:
        await talk.say(status("connected", "Connected Successfully"))
        await talk.hear()
        await talk.say(status("auth_failed", "authentication failed"))

    with caplog.at_level(logging.DEBUG):
        summary = fed(an_environment(real_broker.bootstrap), refuses)
    assert isinstance(summary.refused, InputError)
    assert str(summary.refused).startswith("TICKGATE_POLYGON_KEY: Polygon refuses it (auth_failed: authentication fail")
    assert KEY not in caplog.text
    assert KEY not in str(summary)


def test_what_is_no_feed_is_told_without_the_whole_address(
    real_broker: SharedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    settings = an_environment(real_broker.bootstrap)

    async def run() -> None:
        over = over_at_the_next_attempt(caplog.handler)
        async with FeedServer(nothing) as server:
            elsewhere = Options(f"{server.url}elsewhere?apiKey=s3cret", 0, 1 << 20, only_relevant=False)
            await asyncio.wait_for(run_feed(Polygon(KEY, (), 1), settings, elsewhere, over), 20)

    asyncio.run(run())
    assert "polygon at 127.0.0.1: no WebSocket there: 404" in caplog.text
    assert "s3cret" not in caplog.text


def test_whoever_does_not_confirm_or_falls_silent_is_asked_again(
    real_broker: SharedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    events = [trade("A", 1), trade("A", 2)]

    async def never_confirms(talk: Talk) -> None:
        await talk.say(status("connected", "Connected Successfully"))
        await talk.hear()
        await asyncio.sleep(60)

    async def falls_silent(talk: Talk) -> None:
        await welcome(talk)
        await talk.say(events)
        await asyncio.sleep(60)

    settings = an_environment(real_broker.bootstrap)
    summary = fed(settings, never_confirms, falls_silent, answer_s=1.0, quiet_s=0.2)
    assert ticks_by_ticker(settings) == expected(events)
    assert summary.counts.reconnects >= 2
    assert "no answer within 1 s" in caplog.text
    assert "no answer to a ping" in caplog.text


def test_the_feed_stops_reading_while_kafka_takes_nothing_and_loses_nothing(own_kafka: KafkaProcess) -> None:
    """Kafka is frozen until the server can send no more: the feed holds what it may, and goes on after.

    It does not take the silence, which is its own, for one of the server's.
    """
    settings, messages, port = an_environment(own_kafka.bootstrap), burst(0, 600, 200), free_port()
    most_bytes = 1 << 20

    async def run() -> tuple[Summary, float]:
        stuck = asyncio.Event()

        async def plays(talk: Talk) -> None:
            await welcome(talk)
            await talk.say(messages[0])
            await looked_at(port, "/metrics", lambda _, text: samples(text)["tickgate_feed_sent_total"] == 200)
            own_kafka.pause()
            for message in messages[1:]:
                sending = asyncio.ensure_future(talk.say(message))
                done, _ = await asyncio.wait({sending}, timeout=2.5)
                if not done:
                    stuck.set()
                await sending

        async with FeedServer(plays, nothing) as server:
            options: dict[str, Any] = {"web_port": port, "most_bytes": most_bytes, "quiet_s": 0.2, "answer_s": 1.5}
            running = asyncio.create_task(followed(settings, server, 2, **options))
            await asyncio.wait_for(stuck.wait(), 20)
            _, metrics = await looked_at(port, "/metrics", lambda *_: True)
            own_kafka.resume()
            return await running, samples(metrics)["tickgate_feed_waiting_bytes"]

    try:
        summary, waiting = asyncio.run(run())
    finally:
        own_kafka.resume()
    assert most_bytes <= waiting < 2 * most_bytes
    assert summary.full_seconds > 0.5
    assert ticks_by_ticker(settings) == expected(flat(messages))
    assert (summary.counts.sent, summary.not_delivered_bytes) == (120_000, 0)


@pytest.mark.parametrize(("stopped_s", "sent"), [(0.3, 1), (20.0, 2)])
def test_what_kafka_takes_soon_after_the_feed_is_stopped_is_sent_and_the_rest_is_said(
    own_kafka: KafkaProcess,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    stopped_s: float,
    sent: int,
) -> None:
    monkeypatch.setattr(live, "STOPPED_S", stopped_s)
    caplog.set_level(
        logging.ERROR, "aiokafka"
    )  # a record that is kept would keep what asyncio complains of when it goes
    settings, port = an_environment(own_kafka.bootstrap), free_port()

    async def run() -> Summary:
        async def plays(talk: Talk) -> None:
            await welcome(talk)
            await talk.say([trade("A", 1)])
            await looked_at(port, "/metrics", lambda _, text: samples(text)["tickgate_feed_sent_total"] == 1)
            own_kafka.pause()
            await talk.say([trade("A", 2)])

        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        async with FeedServer(plays, nothing) as server:
            running = asyncio.create_task(followed(settings, server, 2, web_port=port))
            await server.connected(2)
            if sent > 1:
                asyncio.get_running_loop().call_later(0.2, own_kafka.resume)
            return await running

    complaints: list[Any] = []
    try:
        summary = asyncio.run(run())
        gc.collect()
    finally:
        own_kafka.resume()
    assert complaints == []
    assert (summary.counts.trades, summary.counts.sent) == (2, sent)
    assert (summary.not_delivered_bytes > 0) == (sent == 1)


def test_health_and_metrics_say_how_the_feed_stands(real_broker: SharedBroker) -> None:
    settings, port = an_environment(real_broker.bootstrap), free_port()
    looked: list[Any] = []

    async def play(talk: Talk) -> None:
        looked.append(await looked_at(port, "/readyz", lambda code, _: code == 503))
        await welcome(talk)
        await talk.say([trade("A", 1), trade("A", 4), {"ev": "T"}])
        looked.append(await looked_at(port, "/metrics", lambda _, text: "tickgate_feed_sent_total 2.0" in text))
        looked.append(await looked_at(port, "/readyz", lambda code, _: code == 200))

    fed(settings, play, web_port=port)
    unready, (_, metrics), _ = looked
    assert "the feed is not subscribed" in unready[1]
    for line in (
        "tickgate_feed_trades_total 2.0",
        'tickgate_feed_gaps_total{by="sequence"} 1.0',
        "tickgate_feed_missing_total 2.0",
        'tickgate_feed_malformed_total{reason="bad_trade"} 1.0',
        "tickgate_feed_waiting_bytes 0.0",
        "tickgate_feed_connected 1.0",
    ):
        assert line in metrics.splitlines()
