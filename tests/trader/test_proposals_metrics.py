"""`tickgate proposals run` serves the metrics of those who trade by the names of old, beside its own."""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path

import pytest

from streams.trader import running
from tests.kafka.shared_broker import SharedBroker
from tests.serving import got, samples
from tests.trader.proposals_ground import PATIENCE_S, Ground
from tests.trader.results_made import START_MS, fill, result, trigger

CYCLE_S = 2.0
OF_A_CYCLE = {
    "trader_triggers_detected": 10,
    "trader_proposals_generated": 3,
    "trader_triggers_to_proposals_ratio": 0.3,
}
OF_TRADES = {
    "trader_trades_per_hour": 1,
    "trader_trades_total": 1,
    'tickgate_proposals_fills_total{kind="opened"}': 1,
}


async def until_shown(url: str, wanted: Mapping[str, float], again: Callable[[], None] = lambda: None) -> None:
    """Look at the metrics until each has been seen as wanted; some stand for one cycle only, and then come `again`."""
    left, at_s = dict(wanted), 0.0
    async with asyncio.timeout(PATIENCE_S):
        while left:
            if time.monotonic() - at_s > 2 * CYCLE_S:
                at_s = time.monotonic()
                await asyncio.to_thread(again)
            _, text = await asyncio.to_thread(got, url)
            found = samples(text)
            left = {name: value for name, value in left.items() if found.get(name) != value}
            await asyncio.sleep(0.02)  # a scrape has no event to wait for


def test_it_serves_what_seed_four_names(
    real_broker: SharedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(running, "CYCLE_S", CYCLE_S)
    ground = Ground(real_broker.bootstrap, tmp_path, "strategy: {min_conviction_to_propose: 0.28}\n")

    async def main() -> None:
        serving = asyncio.create_task(running.run(ground.settings, ground.policy, drain=False))
        async with asyncio.timeout(PATIENCE_S):
            while not (found := re.search(r"metrics at (http://\S+)", caplog.text)):  # noqa: ASYNC110 - a log line
                await asyncio.sleep(0.02)
        url = f"{found[1]}/metrics"
        await until_shown(url, {"trader_triggers_to_proposals_ratio": 0, "tickgate_proposals_active": 1})
        triggers = [trigger(chr(ord("A") + n), 0.9 if n < 3 else 0.1) for n in range(10)]
        numbers = count()

        def send() -> None:
            """Ten triggers of another execution; three convince. Their proposals may be of the next cycle already."""
            ground.send({**result(f"e{next(numbers)}", "s1", START_MS), "triggers": triggers})

        await until_shown(url, OF_A_CYCLE, send)
        await asyncio.to_thread(ground.send, {**result("e0", "s1", START_MS), "fills": [fill("f1", "e0", "A", None)]})
        await until_shown(url, OF_TRADES)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(main())
