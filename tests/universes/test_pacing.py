"""What waits for a limit, what is told of it, and what is given up."""

import asyncio
import logging

import pytest

from streams.universes.products import SourceError
from streams.universes.rate_limit import Level, Limit
from tests.universes.stage import Clock, pacer

TEN = Limit(10, 60_000)


def test_calls_wait_for_room_and_those_that_are_not_critical_leave_a_tenth(caplog: pytest.LogCaptureFixture) -> None:
    clock, told = Clock(), list[tuple[str, Level]]()
    paced = pacer(clock, TEN, most_wait_ms=60_000)
    paced.told = lambda endpoint, level: told.append((endpoint, level))

    async def main() -> None:
        for _ in range(9):
            await paced.let_through("list", critical=False)
        assert clock.slept_s == []
        await paced.let_through("list", critical=True)
        assert clock.slept_s == []
        await paced.let_through("list", critical=False)
        assert clock.slept_s == [60.0]

    with caplog.at_level(logging.INFO):
        asyncio.run(main())
    assert told == [("list", Level.WARNING), ("list", Level.ALERT)]
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("WARNING", "list: 80 % of its limit used, from 80 %: the limit is near"),
        ("ERROR", "list: 100 % of its limit used, above 90 %: what is not critical waits"),
        ("INFO", "list: 10 % of its limit used, fine again"),
    ]
    assert paced.utilisations() == {"list": 10.0}
    clock.ms += 60_000
    assert paced.utilisations() == {"list": 0.0}


def test_a_wait_that_is_too_long_is_told_at_once() -> None:
    clock = Clock()
    paced = pacer(clock, Limit(2, 60_000), most_wait_ms=59_999)

    async def main() -> None:
        await paced.let_through("list", critical=True)
        await paced.let_through("list", critical=False)

    with pytest.raises(SourceError) as raised:
        asyncio.run(main())
    told = "the limit of list lets no call that can wait through; it does in 60.0 s; raise the limit if it is too low"
    assert (str(raised.value), raised.value.retry_after_ms, clock.slept_s) == (told, 60_000, [])


def test_a_limit_that_recedes_is_told_when_it_is_far_and_not_before(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    paced = pacer(clock, TEN)

    async def main() -> None:
        for calls in (3, 7, 1):
            for _ in range(calls):
                await paced.let_through("list", critical=True)
            clock.ms += 30_000

    with caplog.at_level(logging.INFO):
        asyncio.run(main())
    assert [each.levelname for each in caplog.records] == ["WARNING", "ERROR"], "from 100 % to 80 % is no news"


def test_what_the_exchange_refuses_shuts_the_endpoint(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    paced = pacer(clock, TEN)
    paced.refused("list", 7_000)
    assert paced.utilisations() == {"list": 100.0}
    assert "list: asked too often, the exchange says; no call for 7.0 s" in caplog.text
    asyncio.run(paced.let_through("list", critical=True))
    assert clock.slept_s == [7.0]
