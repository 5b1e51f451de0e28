"""A feed over TLS, by a certificate of the test's own; and one whose Kafka is restarted under it."""

import asyncio
import shutil
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from streams.demo.stage import free_port
from streams.errors import InputError
from streams.feeds.live import Options, Summary, run_feed
from streams.feeds.polygon import Polygon
from streams.kafka.kafka_process import KafkaProcess
from tests.feeds.feed_server import KEY, FeedServer, Talk, nothing, welcome
from tests.feeds.on_kafka import Tick, an_environment, expected, ticks_by_ticker
from tests.feeds.playing import burst, flat, followed, looked_at, over_at_the_next_attempt, says
from tests.kafka.shared_broker import SharedBroker
from tests.serving import samples

CA = "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ours"
ASKED = "req -newkey rsa:2048 -nodes -keyout feed.key -out feed.csr -subj /CN=feed"
SIGNED = "x509 -req -in feed.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out feed.pem -days 2 -extfile names"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an authority of our own, and of a server that it has signed."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make certificates")
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for command in (CA, ASKED, SIGNED):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    return folder


def served_with(certificates: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "feed.pem", certificates / "feed.key")
    return context


def test_a_feed_over_tls_is_believed_by_who_signed_it(real_broker: SharedBroker, certificates: Path) -> None:
    settings, messages = an_environment(real_broker.bootstrap), burst(0, 20, 50)

    async def run() -> Summary:
        async with FeedServer(says(*messages), nothing, tls=served_with(certificates)) as server:
            assert server.url.startswith("wss://")
            return await followed(replace(settings, feed_ca_file=certificates / "ca.pem"), server, 2)

    assert asyncio.run(run()).counts.sent == 1_000
    assert ticks_by_ticker(settings) == expected(flat(messages))


def test_a_feed_that_nobody_believed_has_signed_gets_no_key_and_is_told_of(
    real_broker: SharedBroker, certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = an_environment(real_broker.bootstrap)

    async def run() -> int:
        over = over_at_the_next_attempt(caplog.handler)
        async with FeedServer(nothing, tls=served_with(certificates)) as server:
            options = Options(server.url, 0, 1 << 20, only_relevant=False)
            await asyncio.wait_for(run_feed(Polygon(KEY, (), 1), settings, options, over), 20)
            return server.connections

    assert asyncio.run(run()) == 0
    words = "its certificate is not believed (unable to get local issuer certificate); name who signed it in"
    assert f"polygon at 127.0.0.1: {words} TICKGATE_FEED_CA_FILE; next attempt in" in caplog.text


def test_a_file_of_certificates_that_is_none_is_refused_by_its_setting(
    real_broker: SharedBroker, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    settings = replace(an_environment(real_broker.bootstrap), feed_ca_file=tmp_path / "ca.pem")
    options = Options("wss://127.0.0.1:1/", 0, 1 << 20, only_relevant=False)
    with pytest.raises(InputError, match=r"TICKGATE_FEED_CA_FILE: .*ca\.pem cannot be used .*; name a readable file"):
        asyncio.run(run_feed(Polygon(KEY, (), 1), settings, options, asyncio.Event()))


def test_kafka_is_restarted_under_a_feed_and_nothing_is_lost_or_out_of_order(own_kafka: KafkaProcess) -> None:
    settings, messages, port = an_environment(own_kafka.bootstrap), burst(0, 200, 40), free_port()

    async def plays(talk: Talk) -> None:
        await welcome(talk)
        await talk.say(*messages[:50])
        await looked_at(port, "/metrics", lambda _, text: samples(text)["tickgate_feed_sent_total"] == 2_000)
        restarting = asyncio.create_task(asyncio.to_thread(own_kafka.restart))
        for message in messages[50:]:
            await talk.say(message)
            await asyncio.wait({restarting}, timeout=0.01)
        await restarting

    async def run() -> Summary:
        async with FeedServer(plays, nothing) as server:
            return await followed(settings, server, 2, web_port=port)

    summary = asyncio.run(run())
    assert (summary.counts.sent, summary.not_delivered_bytes, summary.counts.gaps["disconnect"]) == (8_000, 0, 0)
    found = ticks_by_ticker(settings)
    assert {ticker: first_of_each(ticks) for ticker, ticks in found.items()} == expected(flat(messages))


def first_of_each(ticks: list[Tick]) -> list[Tick]:
    """A batch of which it is not known whether it arrived is sent again: as a whole, behind what it repeats."""
    return list(dict.fromkeys(ticks))
