"""One fetch for all who wait, a list from before where it fails, and what is counted and logged of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from streams.universes.lifetimes import Lifetime
from streams.universes.manager import FAILED, SHARED, STALE, UniverseManager
from streams.universes.product_cache import Seen
from streams.universes.products import SourceError
from streams.universes.rules import Rule
from tests.universes.stage import MINUTE_MS, Clock, FakeProducts, manager, some

Story = Callable[[UniverseManager, FakeProducts, Clock], Awaitable[None]]
OFF = Lifetime(0, 15 * MINUTE_MS, 2 * MINUTE_MS)
RULE = Rule("dollars", ("s1",), top=2)


def play(story: Story, lifetime: Lifetime | None = None) -> UniverseManager:
    async def main() -> UniverseManager:
        source, clock = FakeProducts(some("A", "B", "C")), Clock()
        made = manager(source, clock) if lifetime is None else manager(source, clock, lifetime)
        await story(made, source, clock)
        return made

    return asyncio.run(main())


def counted(made: UniverseManager) -> dict[str, int]:
    return {outcome: count for outcome, count in made.looks.items() if count}


def test_a_list_is_fetched_once_and_again_when_it_is_too_old() -> None:
    async def story(made: UniverseManager, source: FakeProducts, clock: Clock) -> None:
        for _ in range(10):
            assert len((await made.products()).known.products) == 3
        assert source.asked == [True]
        clock.ms += 5 * MINUTE_MS
        await made.products()
        assert source.asked == [True, False], "only the first cannot wait"

    assert counted(play(story)) == {Seen.MISS: 1, Seen.HIT: 9, Seen.EXPIRED: 1}


def test_without_a_cache_each_look_is_a_fetch() -> None:
    async def story(made: UniverseManager, source: FakeProducts, clock: Clock) -> None:
        for _ in range(3):
            await made.products()
        assert len(source.asked) == 3

    assert counted(play(story, OFF)) == {Seen.MISS: 3}


def test_many_who_wait_share_one_fetch_and_one_who_leaves_takes_nothing_from_the_others() -> None:
    async def story(made: UniverseManager, source: FakeProducts, clock: Clock) -> None:
        source.gate = asyncio.Event()
        waiting = [asyncio.create_task(made.products()) for _ in range(50)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        source.gate.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert all(not isinstance(each, BaseException) and len(each.known.products) == 3 for each in found[1:])
        assert len(source.asked) == 1

    assert counted(play(story)) == {Seen.MISS: 1, SHARED: 49}


def test_all_who_wait_hear_of_a_failure_and_it_is_not_asked_again_at_once() -> None:
    async def story(made: UniverseManager, source: FakeProducts, clock: Clock) -> None:
        source.trouble = SourceError("down", "wait", 7_000)
        found = await asyncio.gather(*(made.products() for _ in range(5)), return_exceptions=True)
        assert [str(each) for each in found] == ["down; wait"] * 5
        for _ in range(3):
            with pytest.raises(SourceError, match="down; strategies keep the universes"):
                await made.products()
        assert len(source.asked) == 1
        clock.ms += 7_000
        source.trouble = None
        await made.products()

    assert counted(play(story)) == {Seen.MISS: 5, SHARED: 4, FAILED: 8}


def test_a_list_from_before_stands_in_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    async def story(made: UniverseManager, source: FakeProducts, clock: Clock) -> None:
        fresh = await made.products()
        assert not fresh.is_stale
        source.trouble = SourceError("down", "wait")
        for _ in range(4):
            clock.ms += 10 * MINUTE_MS
            answer = await made.products()
            assert (answer.known, answer.is_stale, answer.trouble) == (fresh.known, True, "down; wait")
        source.trouble = None
        clock.ms += 10 * MINUTE_MS
        assert not (await made.products()).is_stale

    with caplog.at_level(logging.INFO):
        made = play(story)
    assert counted(made) == {Seen.MISS: 1, Seen.EXPIRED: 5, STALE: 4}
    assert made.failures == 4
    told = [each.getMessage() for each in caplog.records]
    assert told == [
        "the product list: down; wait; the one from before stands in",
        "the product list: it comes again, with 3 products",
    ]


def test_a_list_that_is_too_old_stands_in_no_more() -> None:
    async def story(made: UniverseManager, source: FakeProducts, clock: Clock) -> None:
        await made.products()
        source.trouble = SourceError("down", "wait")
        clock.ms += 60 * MINUTE_MS + 1
        with pytest.raises(SourceError, match="down"):
            await made.products()

    assert counted(play(story)) == {Seen.MISS: 1, Seen.EXPIRED: 1, FAILED: 1}


def test_an_empty_list_empties_nothing() -> None:
    async def story(made: UniverseManager, source: FakeProducts, clock: Clock) -> None:
        before = await made.build(RULE)
        source.products = []
        clock.ms += 10 * MINUTE_MS
        assert await made.build(RULE) == before
        assert "the list is empty" in (await made.products()).trouble

    play(story)


def test_what_is_invalid_is_fetched_anew_also_where_a_fetch_is_under_way() -> None:
    async def story(made: UniverseManager, source: FakeProducts, clock: Clock) -> None:
        source.gate = asyncio.Event()
        early = asyncio.create_task(made.products())
        await asyncio.sleep(0)
        made.invalidate()
        late = asyncio.create_task(made.products())
        await asyncio.sleep(0)
        source.gate.set()
        await asyncio.gather(early, late)
        assert len(source.asked) == 2
        made.invalidate()
        await made.products()
        assert len(source.asked) == 3

    play(story)


def test_a_list_that_was_asked_for_before_it_became_invalid_is_not_taken_for_a_fresh_one() -> None:
    async def story(made: UniverseManager, source: FakeProducts, clock: Clock) -> None:
        source.gate = asyncio.Event()
        early = asyncio.create_task(made.products())
        await asyncio.sleep(0)
        made.invalidate()
        source.gate.set()
        assert len((await early).known.products) == 3
        await made.products()
        assert len(source.asked) == 2

    play(story)


def test_who_knows_better_says_how_volatile_it_is() -> None:
    async def story(made: UniverseManager, source: FakeProducts, clock: Clock) -> None:
        await made.products()
        made.say_volatility(1.0)
        assert made.ttl_ms == 2 * MINUTE_MS
        made.say_volatility(0.0)
        assert made.ttl_ms == 15 * MINUTE_MS
        made.say_volatility(None)
        assert made.ttl_ms == 5 * MINUTE_MS
        with pytest.raises(ValueError, match="a volatility of 2 is not from 0 to 1"):
            made.say_volatility(2)

    play(story)


def test_a_fault_of_the_program_is_not_taken_for_one_of_the_exchange() -> None:
    async def story(made: UniverseManager, source: FakeProducts, clock: Clock) -> None:
        await made.products()
        clock.ms += 10 * MINUTE_MS
        source.trouble = ZeroDivisionError()  # type: ignore[assignment]
        with pytest.raises(ZeroDivisionError):
            await made.products()

    play(story)


def test_products_that_cannot_be_read_are_told(caplog: pytest.LogCaptureFixture) -> None:
    async def story(made: UniverseManager, source: FakeProducts, clock: Clock) -> None:
        source.products, source.bad = some(*(f"C{n}" for n in range(20))), 2
        await made.products()

    play(story)
    assert "2 products cannot be read, first: x" in caplog.text
