"""`tickgate universe` on a real broker and a real exchange: what is written, what is not, and what is said."""

import asyncio
import json
import re
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner, Result
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.cli import main
from streams.core.events import Status, Strategy
from streams.kafka.codec import Decoder
from streams.kafka.registry import FileSchemas
from streams.kafka.strategy_topic import read_standing, write_changes
from streams.kafka.whole_topic import read_whole
from streams.settings import Settings
from streams.universes.strategy_changes import StrategyChanges
from tests.house.readme import example_files, run, steps
from tests.house.tree import ROOT
from tests.kafka.shared_broker import SharedBroker
from tests.serving import got, serving
from tests.universes.exchange import Exchange, body, entry, many

SCHEMAS = FileSchemas()
S1 = Strategy("s1", "5m", frozenset({"C0000-USD"}), version=3)
S2 = Strategy("s2", "1h", frozenset({"C0000-USD"}), Status.PAUSED)
PATIENCE_S = 120
"""A process that is the first to compile the kernel takes a while on a busy machine."""

RULES = """\
rules:
  - name: dollars
    strategies: [s1, s2]
    quote: [USD]
    top: 3
"""


class Ground:
    """A topic of its own, an exchange, a file, and the command."""

    def __init__(self, broker: SharedBroker, exchange: Exchange, folder: Path) -> None:
        self.prefix, self.file, self.exchange = f"{uuid.uuid4().hex[:8]}.", folder / "universe.yaml", exchange
        self.bootstrap, self.topic = broker.bootstrap, f"{self.prefix}strategy-changes"
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        (made,) = admin.create_topics([NewTopic(self.topic, 2, 1, config={"retention.ms": "-1"})]).values()
        made.result(30)
        exchange.entries = [*many(5), entry("C0009-EUR", 10**9)]
        self.write(RULES)
        write_changes(self.bootstrap, self.topic, SCHEMAS, [S1, S2], 1)
        self.environment = {"TICKGATE_BROKER": self.bootstrap, "TICKGATE_TOPIC_PREFIX": self.prefix}

    def write(self, rules: str, **more: Any) -> None:
        given = {"url": self.exchange.url, "timeout_seconds": 2, "cycle_seconds": 0.2, "metrics": "{port: 0}", **more}
        fields = "".join(f"  {name}: {each}\n" for name, each in given.items())
        self.file.write_text(f"universe:\n{fields}{rules}")

    def run(self, *arguments: str) -> Result:
        command = ["universe", *arguments, "--file", str(self.file)]
        return CliRunner().invoke(main, command, env=self.environment)

    def once(self, *arguments: str) -> dict[str, Any]:
        done = self.run("run", "--once", *arguments)
        assert (done.exit_code, done.stderr) == (0, "")
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def stands(self) -> dict[str, Strategy]:
        return read_standing(self.bootstrap, self.topic, SCHEMAS).strategies

    def records(self) -> list[dict[str, Any]]:
        decoder = Decoder(SCHEMAS, "strategy_change")
        return [decoder.decode(each.value) for each in read_whole(self.bootstrap, self.topic)]


@pytest.fixture
def ground(real_broker: SharedBroker, exchange: Exchange, tmp_path: Path) -> Ground:
    return Ground(real_broker, exchange, tmp_path)


def universe(*numbers: int) -> frozenset[str]:
    return frozenset(f"C{number:04d}-USD" for number in numbers)


def test_universes_go_out_as_the_next_versions_and_only_where_they_differ(ground: Ground) -> None:
    changes = [{"strategy_id": "s1", "version": 4, "tickers": 3}, {"strategy_id": "s2", "version": 2, "tickers": 3}]
    assert ground.once("--dry-run") == {"products": 6, "written": 0, "changes": changes, "problems": 0}
    assert ground.stands() == {"s1": S1, "s2": S2}
    assert ground.once() == {"products": 6, "written": 2, "changes": changes, "problems": 0}
    stands = ground.stands()
    assert stands["s1"] == Strategy("s1", "5m", universe(0, 1, 2), version=4)
    assert stands["s2"] == Strategy("s2", "1h", universe(0, 1, 2), Status.PAUSED, 2)
    last = ground.records()[-1]
    assert (last["source"], last["reason"]) == ("products", "rule dollars: 3 of 6 products, 2 new, 0 gone")
    assert ground.once() == {"products": 6, "written": 0, "changes": [], "problems": 0}
    assert len(ground.records()) == 4


def test_the_topic_is_read_again_only_where_it_has_grown(ground: Ground) -> None:
    settings = Settings(broker=ground.bootstrap, topic_prefix=ground.prefix)
    changes = StrategyChanges(settings, may_write=True)
    first = changes.standing()
    assert first.strategies == {"s1": S1, "s2": S2}
    assert changes.standing() is first
    changes.write([Strategy("s1", "5m", universe(7), version=4)], "why not")
    assert changes.standing().strategies["s1"].universe == universe(7)
    assert ground.records()[-1]["source"] == "products"


def test_a_person_who_edits_meanwhile_is_not_undone_but_followed(ground: Ground) -> None:
    ground.once()
    by_hand = Strategy("s1", "15m", universe(0, 1), version=9)
    write_changes(ground.bootstrap, ground.topic, SCHEMAS, [by_hand], 2)
    ground.once()
    assert ground.stands()["s1"] == Strategy("s1", "15m", universe(0, 1, 2), version=10)


def test_what_cannot_be_is_told_and_the_others_go_on(ground: Ground) -> None:
    ground.write(RULES.replace("[s1, s2]", "[gone, s2]") + "  - {name: euros, strategies: [s1], quote: [XXX]}\n")
    done = ground.run("run", "--once")
    assert (done.exit_code, json.loads(done.stdout)["written"]) == (0, 1)
    assert "warning: rule 'dollars', strategy 'gone': there is no such strategy" in done.stderr
    assert "warning: rule 'euros', strategy 's1': none of 6 products fits" in done.stderr
    assert ground.stands()["s1"] == S1


def test_a_universe_that_would_shrink_by_half_is_held_unless_it_may(ground: Ground) -> None:
    ground.once()
    ground.exchange.entries = many(1)
    done = ground.run("run", "--once")
    assert (done.exit_code, json.loads(done.stdout)["written"]) == (0, 0)
    assert "keeps 1 of 3 tickers only" in done.stderr
    assert ground.once("--let-shrink")["written"] == 2


def answering(text: bytes, status: int = 200) -> Callable[[web.Request], Any]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=text, status=status)

    return answer


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        (body([]), 200, "the list is empty, which no exchange's is; see that the url and its filters are right"),
        (b"<html>", 200, "the answer is no JSON, it begins with '<html>'; see that the url is that of a product list"),
        (b"", 503, "the exchange answers with 503; it is asked again"),
    ],
)
def test_a_list_that_cannot_be_used_changes_nothing_and_says_why(
    ground: Ground, text: bytes, status: int, words: str
) -> None:
    ground.exchange.behaviour = answering(text, status)
    for command in (("run", "--once"), ("show",)):
        done = ground.run(*command)
        assert (done.exit_code, done.stdout) == (1, "")
        assert f"error: the product list: {words}" in done.stderr
    assert len(ground.records()) == 2


def test_what_the_rules_make_of_the_list_is_shown_without_a_broker(exchange: Exchange, tmp_path: Path) -> None:
    exchange.entries, file = many(5), tmp_path / "u.yaml"
    file.write_text(f"universe:\n  url: {exchange.url}\n{RULES}    include: [X-USD]\n")
    environment = {"TICKGATE_BROKER": "127.0.0.1:1"}
    done = CliRunner().invoke(main, ["universe", "show", "--file", str(file)], env=environment)
    assert done.stdout == (
        "5 products\ndollars: 3 C0000-USD C0001-USD C0002-USD\ndollars: not traded, though to be included: X-USD\n"
    )
    told = json.loads(CliRunner().invoke(main, ["universe", "show", "--file", str(file), "--json"]).stdout)
    assert told["rules"]["dollars"] == {"tickers": sorted(universe(0, 1, 2)), "unlisted": ["X-USD"]}


def test_a_file_that_is_wrong_or_a_dry_run_for_good_is_refused(ground: Ground) -> None:
    assert "--dry-run goes with --once" in ground.run("run", "--dry-run").stderr
    ground.write(RULES.replace("top", "tip"))
    done = ground.run("run")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "tip: unknown field; did you mean top?" in done.stderr


def running(ground: Ground) -> AbstractContextManager[tuple[subprocess.Popen[str], str]]:
    """`tickgate universe run` in a process of its own, and where it serves."""
    return serving(ground.environment, "universe", "run", "--file", str(ground.file))


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await asyncio.to_thread(is_so):  # another process has no event to wait for here
            await asyncio.to_thread(time.sleep, 0.1)


def test_it_goes_on_until_it_is_told_to_stop_and_shows_what_it_does(ground: Ground) -> None:
    limits = "{list_products: {calls: 5, per_seconds: 60}}"
    more = {"products_cache_minutes": 0.001, "quiet_minutes": 0.001, "limits": limits}
    ground.write(RULES, **more)
    with running(ground) as (process, url):
        asyncio.run(until(lambda: ground.stands()["s1"].version == 4))
        asyncio.run(until(lambda: got(f"{url}/readyz")[0] == 200))
        assert got(f"{url}/healthz") == (200, "alive\n")
        asyncio.run(until(lambda: 'tickgate_universe_looks_total{outcome="stale"} 0.0' not in got(f"{url}/metrics")[1]))
        metrics = got(f"{url}/metrics")[1]
        assert 'trader_rate_limiter_utilization_pct{endpoint="list_products"} 80.0' in metrics
        assert 'tickgate_rate_limit_warnings_total{endpoint="list_products",level="warning"} 1.0' in metrics
        assert "tickgate_universe_changes_total 2.0" in metrics
        assert "tickgate_universe_products 6.0" in metrics
        assert "trader_trades_total 0.0" in metrics
        assert len(ground.exchange.asked) == 4, "what is not critical leaves a tenth of the limit, and more if need be"
        ground.write(RULES.replace("3", "2"), **more)
        asyncio.run(until(lambda: ground.stands()["s1"].version == 5))
        assert ground.stands()["s1"].universe == universe(0, 1), "the rules are read again, and the old list stands in"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_it_stops_also_while_the_exchange_does_not_answer(ground: Ground) -> None:
    ground.exchange.answer_s = 60
    ground.write(RULES, timeout_seconds=60)
    with running(ground) as (process, url):
        asyncio.run(until(lambda: len(ground.exchange.asked) == 1))
        status, told = got(f"{url}/readyz")
        assert (status, json.loads(told)["reasons"]) == (503, ["it has not looked yet"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert len(ground.records()) == 2


def test_it_is_run_as_the_readme_says(ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    markdown = (ROOT / "README.md").read_text()
    ground.exchange.entries = [entry(f"{name}-USD", 9 * 10**6) for name in ("BTC", "ETH", "SOL")]
    text = example_files(markdown)["universe.yaml"]
    (tmp_path / "universe.yaml").write_text(re.sub(r"url: \S+", f"url: {ground.exchange.url}", text))
    write_changes(ground.bootstrap, ground.topic, SCHEMAS, [Strategy("breakout", "5m", frozenset({"BTC-USD"}))], 3)
    for name, each in ground.environment.items():
        monkeypatch.setenv(name, each)
    shown = [step for step in steps(markdown) if step.command.startswith("tickgate universe")]
    assert len(shown) >= 2
    for step in shown:
        assert list(run(step, tmp_path)) == []
