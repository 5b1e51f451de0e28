"""A shard whose producer was shut out: it waits whether the group takes it away, and only then opens anew."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from streams.kafka.outbox import Heard, Outbox, Patience
from streams.kafka.producing import FencedError
from tests.kafka.shard_stage import NotingTransaction, decided_at, until

Story = Callable[[Outbox, NotingTransaction, list[str]], Awaitable[None]]


def staged(story: Story, fenced_s: float) -> None:
    async def main() -> None:
        transaction, troubles = NotingTransaction(), list[str]()
        heard = Heard(lambda *_: None, troubles.append, lambda _: None)
        sends: Any = transaction
        box = Outbox(sends, None, heard, Patience(0.0, fenced_s))
        await story(box, transaction, troubles)
        await box.close()

    asyncio.run(main())


def test_who_is_still_the_owner_opens_anew_asks_and_goes_on() -> None:
    async def story(box: Outbox, transaction: NotingTransaction, troubles: list[str]) -> None:
        transaction.answers["commit"].append(FencedError("taken over"))
        await box.send(decided_at(3))
        assert transaction.calls() == ["commit", "open", "happened", "commit"]
        assert transaction.true == ["x3", "r3"]
        assert "taken over" in troubles[0]

    staged(story, fenced_s=0.0)


def test_where_another_has_gone_on_it_is_the_end() -> None:
    async def story(box: Outbox, transaction: NotingTransaction, _: list[str]) -> None:
        transaction.answers["commit"].append(FencedError("taken over"))
        transaction.answers["happened"].append(FencedError("another went on"))
        with pytest.raises(FencedError, match="went on"):
            await box.send(decided_at(3))
        assert transaction.true == []

    staged(story, fenced_s=0.0)


def test_who_is_let_go_meanwhile_opens_nothing() -> None:
    async def story(box: Outbox, transaction: NotingTransaction, troubles: list[str]) -> None:
        transaction.answers["commit"].append(FencedError("taken over"))
        sending = asyncio.create_task(box.send(decided_at(3)))
        await until(lambda: bool(troubles))
        box.leave()
        with pytest.raises(FencedError, match="taken over"):
            await sending
        assert transaction.calls() == ["commit"]

    staged(story, fenced_s=600.0)
