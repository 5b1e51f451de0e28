"""The feeds' commands as the README shows them, each as a process, and told to stop as one does it."""

import asyncio
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from streams.errors import InputError
from streams.feeds.coinbase import CHANNEL
from streams.feeds.live import make_target
from streams.kafka import look_up
from streams.settings import Settings
from tests.feeds.feed_server import KEY, FeedServer, Play, Talk, nothing, status, trade, welcome
from tests.feeds.on_kafka import an_environment, expected, ticks_by_ticker
from tests.feeds.test_coinbase import coin, message
from tests.house.readme import example_files, steps
from tests.house.tree import ROOT
from tests.kafka.shared_broker import SharedBroker

README = (ROOT / "README.md").read_text()


def shown(feed: str) -> list[str]:
    """The arguments of the command that the README shows for a feed."""
    return next(
        shlex.split(step.command)[1:] for step in steps(README) if step.command.startswith(f"tickgate feed {feed} ")
    )


async def ran(
    settings: Settings, arguments: list[str], folder: Path, server: FeedServer | None = None
) -> tuple[Any, str]:
    """Run a command, and tell it to stop once the server has been asked again; returns its summary and its log."""
    own = {"TICKGATE_BROKER": settings.broker, "TICKGATE_TOPIC_PREFIX": settings.topic_prefix}
    more = ["--url", server.url, "--web-port", "0"] if server else []
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.cli", *arguments, *more),
        cwd=folder,
        env={**os.environ, **own, "TICKGATE_POLYGON_KEY": KEY, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    ended = asyncio.create_task(process.communicate())
    if server is not None:
        connected = asyncio.create_task(server.connected(2))
        await asyncio.wait({ended, connected}, return_when=asyncio.FIRST_COMPLETED)
        connected.cancel()
        if process.returncode is None:
            process.terminate()
    out, errors = await asyncio.wait_for(ended, 60)
    return {"code": process.returncode, **json.loads(out or b"{}")}, errors.decode()


def run(settings: Settings, feed: str, folder: Path, *plays: Play) -> tuple[Any, str]:
    async def play() -> tuple[Any, str]:
        async with FeedServer(*plays, nothing) as server:
            return await ran(settings, shown(feed), folder, server)

    return asyncio.run(play())


def test_polygon_runs_as_the_readme_says(real_broker: SharedBroker, tmp_path: Path) -> None:
    settings, events = an_environment(real_broker.bootstrap), [trade("AAPL", 1), trade("MSFT", 2), trade("AAPL", 2)]

    async def play(talk: Talk) -> None:
        await welcome(talk, "T.AAPL", "T.MSFT")
        await talk.say(events)

    told, errors = run(settings, "polygon", tmp_path, play)
    assert (told["code"], told["trades"], told["sent"], told["not_delivered_bytes"]) == (0, 3, 3, 0)
    assert ticks_by_ticker(settings) == expected(events)
    assert KEY not in errors
    assert "subscribed" in errors


def test_coinbase_runs_as_the_readme_says(real_broker: SharedBroker, tmp_path: Path) -> None:
    settings = an_environment(real_broker.bootstrap)

    async def play(talk: Talk) -> None:
        await talk.hear()
        await talk.hear()
        confirmed = [{"subscriptions": {CHANNEL: ["BTC-USD", "ETH-USD"]}}]
        await talk.say({"channel": "subscriptions", "sequence_num": 0, "events": confirmed}, message(1, coin(7)))

    told, _ = run(settings, "coinbase", tmp_path, play)
    assert (told["code"], told["trades"], told["sent"]) == (0, 1, 1)
    assert ticks_by_ticker(settings)["ETH-USD"][0][1] == 7.5


def test_a_file_is_sent_as_the_readme_says(real_broker: SharedBroker, tmp_path: Path) -> None:
    settings = an_environment(real_broker.bootstrap)
    for name, text in example_files(README).items():
        (tmp_path / name).write_text(text)
    told, _ = asyncio.run(ran(settings, shown("file"), tmp_path))
    assert (told["code"], told["ticks"], told["refused_rows"]) == (0, 5, 0)
    found = ticks_by_ticker(settings)
    assert [tick[:3] for tick in found["MSFT"]] == [(1_732_545_000_250, 417.5, 50)]
    assert [tick[0] - 1_732_545_000_000 for tick in found["AAPL"]] == [0, 60_000, 120_000, 300_000]


def test_a_wrong_key_ends_the_command_with_one_line_and_two(real_broker: SharedBroker, tmp_path: Path) -> None:
    async def refuses(talk: Talk) -> None:
        await talk.say(status("connected", "Connected Successfully"))
        await talk.hear()
        await talk.say(status("auth_failed", "authentication failed"))

    told, errors = run(an_environment(real_broker.bootstrap), "polygon", tmp_path, refuses)
    assert told["code"] == 2
    assert errors.splitlines()[-1].startswith("error: TICKGATE_POLYGON_KEY: Polygon refuses it (auth_failed: ")
    assert "Traceback" not in errors
    assert KEY not in errors


def test_a_broker_that_does_not_answer_is_told_before_the_feed_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_up, "ANSWER_TIMEOUT_S", 0.3)
    with pytest.raises(InputError, match=r"127\.0\.0\.1:1: no answer.*TICKGATE_BROKER"):
        make_target(Settings(broker="127.0.0.1:1"), only_relevant=False)


def test_topics_that_are_not_there_are_named(real_broker: SharedBroker) -> None:
    settings = Settings(broker=real_broker.bootstrap, topic_prefix="nowhere.")
    with pytest.raises(InputError, match=r"has no nowhere\.ticks, nowhere\.ticks\.dlq; run `tickgate topics apply`"):
        make_target(settings, only_relevant=False)
