"""The small parts of a feed: what waits and for how long, what is said how often, and pauses between attempts."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.feeds.backoff import FIRST_S, LONGEST_S, wait_s
from streams.feeds.delivering import MOST_BYTES, Delivery, Target
from streams.feeds.feed_counts import FeedCounts
from streams.feeds.inbox import OVERHEAD_BYTES, Inbox, Taken
from streams.feeds.polygon import Polygon
from streams.feeds.seldom import AT_ONCE, WHILE_S, Seldom
from streams.kafka.announcer import Announcer
from streams.kafka.codec import Encoder
from streams.kafka.producing import Keyed
from streams.kafka.registry import FileSchemas
from tests.feeds.feed_server import trade


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_pauses_grow_to_a_bound_and_chance_takes_half_at_most(failures: int, luck: float) -> None:
    whole = wait_s(failures, 0)
    assert whole / 2 <= wait_s(failures, luck) <= whole <= LONGEST_S
    assert wait_s(0, 0) == FIRST_S
    assert wait_s(failures + 1, 0) >= whole


def test_what_is_held_back_is_said_with_the_next() -> None:
    now = [0.0]
    seldom = Seldom(lambda: now[0])
    assert [seldom.may() for _ in range(AT_ONCE + 3)] == [True] * AT_ONCE + [False] * 3
    seldom.hold(4)
    now[0] = WHILE_S
    assert seldom.may()
    assert seldom.more() == " (and 7 more before)"
    assert seldom.more() == ""


def test_an_inbox_gives_what_came_in_its_order_and_parts_it_where_the_connection_was_another() -> None:
    async def run() -> list[Taken | None]:
        inbox = Inbox(1_000, lambda: 0.0)
        for each in (b"a", b"b"):
            inbox.put(each)
        inbox.disconnected()
        inbox.disconnected()
        inbox.put(b"c")
        inbox.disconnected()
        inbox.close()
        return [await inbox.take(1_000) for _ in range(3)]

    size = 1 + OVERHEAD_BYTES
    assert asyncio.run(run()) == [Taken([b"a", b"b"], 2 * size, is_anew=False), Taken([b"c"], size, is_anew=True), None]


def test_an_inbox_gives_about_as_much_as_is_asked_for() -> None:
    async def run() -> list[int]:
        inbox = Inbox(1_000, lambda: 0.0)
        for _ in range(5):
            inbox.put(b"x" * 100)
        return [len(taken.messages) for _ in range(3) if (taken := await inbox.take(200))]

    assert asyncio.run(run()) == [2, 2, 1]


def test_there_is_room_again_when_half_has_arrived_and_the_wait_is_counted() -> None:
    now = [0.0]

    async def run() -> None:
        inbox = Inbox(400, lambda: now[0])
        inbox.put(b"x" * 100)
        full = [inbox.is_full]
        inbox.put(b"x" * 300)
        waiting = asyncio.create_task(inbox.room())
        taken = await inbox.take(1)
        assert taken is not None
        await asyncio.sleep(0)
        full.append(inbox.is_full)
        assert full == [False, True], "what is taken has not arrived"
        inbox.done(taken)
        await asyncio.sleep(0)
        assert not waiting.done(), "more than half is still there"
        now[0] = 2.5
        more = await inbox.take(1)
        assert more is not None
        inbox.done(more)
        await asyncio.wait_for(waiting, 1)
        assert (inbox.bytes, inbox.waiting_bytes, inbox.full_s) == (0, 0, 2.5)

    asyncio.run(run())


class Slow(Announcer):
    """Takes its time, and notes what is on its way."""

    def __init__(self) -> None:
        self.under_way = self.most_under_way = 0
        self.first_ms: list[int] = []

    async def send(self, keyed: Sequence[Keyed], *_: Any) -> Any:
        self.under_way += 1
        self.most_under_way = max(self.under_way, self.most_under_way)
        self.first_ms += [int(each.records.ts_ms[0]) for each in keyed]
        for _turn in range(20):
            await asyncio.sleep(0)
        self.under_way -= 1


def test_batches_go_out_one_by_one_and_the_last_is_waited_for() -> None:
    slow, counts, inbox = Slow(), FeedCounts(), Inbox(1 << 30, lambda: 0.0)
    target = Target(slow, "ticks", 4, Encoder(FileSchemas(), ["dead_letter"]), lambda: 0, lambda: 0.0)
    trades = [trade("A", number, i="x" * (MOST_BYTES // 2)) for number in range(9)]

    async def run() -> None:
        for each in trades:
            inbox.put(json.dumps([each]).encode())
        inbox.close()
        await Delivery(Polygon("", (), 1), inbox, counts, target).run()

    asyncio.run(run())
    assert (slow.most_under_way, slow.under_way, counts.sent, inbox.bytes) == (1, 0, 9, 0)
    assert len(slow.first_ms) > 3
    assert slow.first_ms == sorted(slow.first_ms)
