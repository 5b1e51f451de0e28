"""Takes messages out of the inbox and brings their trades to Kafka, whole batches at a time, in their order.

While one batch is on its way the next is read, if so much waits; where little does, what comes meanwhile goes together.
What is no trade goes to the dead letters of `ticks`, as it came, with its place. All of it is sent until it is
acknowledged; where it is not known whether a batch has arrived, it is sent again: then ticks may stand there twice.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from streams.core.conditions import ConditionTable
from streams.errors import on_one_line
from streams.feeds.feed_counts import DISCONNECT, SEQUENCE, FeedCounts
from streams.feeds.following import Exchange
from streams.feeds.inbox import Inbox, Taken
from streams.feeds.seldom import Seldom
from streams.feeds.synthetic import Ticks
from streams.feeds.trades import Gap, Read, Refused, relevant
from streams.kafka import dead_letters
from streams.kafka.announcer import Announcer
from streams.kafka.codec import Encoder
from streams.kafka.producing import Keyed, Letters
from streams.kafka.sending import given_up
from streams.times import shown_time

log = logging.getLogger(__name__)

MOST_BYTES: Final = 1 << 20
"""Of messages that are read at once."""
MOST_SHOWN: Final = 200
NOWHERE: Final = -1
"""The partition and the offset of what never stood on a topic."""


class Target(NamedTuple):
    """Where ticks go, and what is no tick."""

    announcer: Announcer
    topic: str
    partitions: int
    encoder: Encoder
    now_ms: Callable[[], int]
    now_s: Callable[[], float]
    only_relevant: ConditionTable | None = None
    """Where only those that may move the price are wanted: by this table."""


class Delivery:
    """See the head of this file."""

    def __init__(self, exchange: Exchange, inbox: Inbox, counts: FeedCounts, target: Target) -> None:
        self._exchange, self._inbox, self._counts, self._target = exchange, inbox, counts, target
        self._newest_ms: int | None = None
        self._is_anew = False
        self._read_messages = 0
        self._of_refused, self._of_gaps = Seldom(target.now_s), Seldom(target.now_s)

    async def run(self) -> None:
        """Until the inbox is closed and empty, and all of it acknowledged."""
        sending: asyncio.Task[None] | None = None
        try:
            while True:
                if sending is not None and self._inbox.waiting_bytes < MOST_BYTES:
                    await sending
                taken = await self._inbox.take(MOST_BYTES)
                if taken is None:
                    break
                keyed, letters, count = self._made(taken)
                if sending is not None:
                    await sending
                sending = asyncio.create_task(self._send(taken, keyed, letters, count))
        finally:
            if sending is not None:
                await given_up([sending])

    async def _send(self, taken: Taken, keyed: list[Keyed], letters: list[Letters], count: int) -> None:
        if keyed or letters:
            await self._target.announcer.send(keyed, letters)
        self._counts.sent += count
        self._inbox.done(taken)

    def _made(self, taken: Taken) -> tuple[list[Keyed], list[Letters], int]:
        """What is to be sent for some messages."""
        if taken.is_anew:
            self._exchange.disconnected()
            self._is_anew = True
        read = self._exchange.read(taken.messages, self._read_messages + 1)
        self._read_messages += len(taken.messages)
        self._count(read)
        self._look_for_gap(read.ticks)
        ticks = read.ticks
        if self._target.only_relevant is not None:
            ticks = relevant(ticks, self._exchange.encoder, self._target.only_relevant)
            self._counts.left_out += len(read.ticks.ts_ms) - len(ticks.ts_ms)
        count = len(ticks.ts_ms)
        keyed = []
        if count:
            keyed = [Keyed(self._target.topic, self._target.partitions, self._exchange.encoder.records(ticks))]
        return keyed, self._letters(read.refused), count

    def _count(self, read: Read) -> None:
        counts = self._counts
        counts.trades += len(read.ticks.ts_ms)
        counts.resized += read.resized
        counts.repeated += read.repeated
        counts.behind += read.behind
        counts.missing += read.missing
        counts.others += read.others
        counts.gaps[SEQUENCE] += read.jumps
        for each in read.said:
            log.info("%s says: %s", self._exchange.name, each)
        self._tell_gaps(read.gaps, read.jumps)

    def _tell_gaps(self, gaps: Sequence[Gap], jumps: int) -> None:
        """Log some of them: they may be many."""
        for gap in gaps:
            if self._of_gaps.may():
                told = "%s: %s goes from %s to %s: %d left out%s"
                log.warning(told, self._exchange.name, gap.where, gap.start, gap.end, gap.missing, self._of_gaps.more())
        self._of_gaps.hold(jumps - len(gaps))

    def _look_for_gap(self, ticks: Ticks) -> None:
        """Tell what lies between two connections, once the first trade of the second is there."""
        if not len(ticks.ts_ms):
            return
        if self._is_anew and self._newest_ms is not None:
            self._counts.gaps[DISCONNECT] += 1
            start, end = shown_time(self._newest_ms), shown_time(int(ticks.ts_ms[0]))
            log.warning("%s: a gap from %s to %s, by a lost connection", self._exchange.name, start, end)
        self._is_anew = False
        self._newest_ms = max(int(ticks.ts_ms.max()), self._newest_ms or 0)

    def _letters(self, refused: list[Refused]) -> list[Letters]:
        """Dead letters of what is no trade."""
        if not refused:
            return []
        now_ms, topic = self._target.now_ms(), self._target.topic
        letters = []
        for each in refused:
            self._counts.malformed[each.reason.word] += 1
            reason = each.reason._replace(detail=f"{self._exchange.name}, {each.place}: {each.reason.detail}")
            if self._of_refused.may():
                value = on_one_line(each.raw.decode(errors="replace"), MOST_SHOWN)
                log.warning("no trade: %s: %s%s", reason, value, self._of_refused.more())
            record = dead_letters.Refused(topic, NOWHERE, NOWHERE, now_ms, None, each.raw)
            letters.append((dead_letters.dead_letter(self._target.encoder, record, reason), now_ms))
        return [Letters(dead_letters.dead_letter_topic(topic), 0, letters)]
