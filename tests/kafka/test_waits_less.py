"""A service that makes no task for what has nothing to wait for, and waits as before for what has."""

import asyncio

import pytest
from mode import Service

from streams.kafka import waits_less
from streams.kafka.waits_less import WaitsLess


class Waiting(WaitsLess, Service):
    """Any service."""


async def at_once() -> int:
    return 7


def test_what_is_done_at_once_makes_no_task() -> None:
    async def see() -> None:
        service, never, loop = Waiting(), asyncio.Event(), asyncio.get_running_loop()
        loop.set_task_factory(lambda *_, **__: pytest.fail("a task was made"))
        found = await service.wait_first(at_once(), never.wait())
        await service.sleep(0)
        loop.set_task_factory(None)
        assert (found.results, found.stopped) == ([7], False)

    asyncio.run(see())


@pytest.mark.parametrize("waits", ["an event", "the loop", "both"])
def test_what_waits_goes_on_where_it_was(waits: str) -> None:
    async def see() -> None:
        service, over, came = Waiting(), asyncio.Event(), list[str]()

        async def in_steps() -> str:
            came.append("begun")
            if waits != "an event":
                await asyncio.sleep(0)
            if waits != "the loop":
                await over.wait()
            came.append("ended")
            return "done"

        asyncio.get_running_loop().call_later(0.01, over.set)
        found = await service.wait_first(in_steps(), asyncio.Event().wait())
        assert (found.results, came) == (["done"], ["begun", "ended"])

    asyncio.run(see())


def test_the_first_of_several_ends_the_wait_and_the_others() -> None:
    async def see() -> None:
        service, suspended, ended = Waiting(), asyncio.Event(), asyncio.Event()

        async def for_ever() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.set()
                raise

        asyncio.get_running_loop().call_later(0.01, suspended.set)
        found = await service.wait_first(for_ever(), suspended.wait())
        await asyncio.wait_for(ended.wait(), 1)
        assert found.results == [True]

    asyncio.run(see())


def test_the_end_of_the_service_ends_the_wait() -> None:
    async def see() -> None:
        service = Waiting()
        await service.start()
        asyncio.get_running_loop().call_later(0.01, lambda: asyncio.ensure_future(service.stop()))
        found = await service.wait_first(asyncio.Event().wait())
        assert found.stopped

    asyncio.run(see())


def test_what_goes_wrong_is_told_at_once_and_later() -> None:
    async def see() -> None:
        async def wrong(*, later: bool) -> None:
            if later:
                await asyncio.sleep(0.01)
            raise KeyError("it")

        for later in (False, True):
            with pytest.raises(KeyError, match="it"):
                await Waiting().wait_first(wrong(later=later))

    asyncio.run(see())


def test_nothing_that_is_touched_inside_faust_and_mode_has_moved() -> None:
    assert waits_less.moved() == []
