"""The paced feed: nothing before it is due, a clean end, and the truth about what was not delivered."""

import threading
import zlib

import pytest

from streams.core.records import EncodedRecords
from streams.errors import InputError
from streams.feeds import sender
from streams.feeds.encoded_ticks import TickEncoder
from streams.feeds.sender import Outlet, Wait, send_market
from streams.feeds.synthetic import Plan, parts, ticker_names
from streams.kafka.brokers import EmbeddedBroker

PLAN = Plan(1_772_461_800_000, rate=3_000, seconds=8, tickers=50, opening_s=1)
ENCODER = TickEncoder(ticker_names(50))


class Day:
    """A clock that only waiting moves, and an outlet that notes when what was sent."""

    def __init__(self, until_s: float = 1e9) -> None:
        self.now_s = 1_000.0
        self.until_s = 1_000.0 + until_s
        self.most_waits_s = 0.0
        self.sent: list[tuple[float, int]] = []

    def clock(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> bool:
        self.now_s += seconds
        self.most_waits_s = max(self.most_waits_s, seconds)
        return self.now_s >= self.until_s


class Noted(Outlet):
    """Takes what it is given, a few records less where it is told to stop."""

    def __init__(self, day: Day, takes: int = 1 << 30) -> None:
        self.day, self.takes, self.problem = day, takes, ""
        self.values: list[bytes] = []

    def send(self, records: EncodedRecords, start: int, end: int, wait: Wait) -> int:  # noqa: ARG002 - as the real one
        went = min(end - start, self.takes)
        self.values += [records.value(i) or b"" for i in range(start, start + went)]
        self.day.sent.append((self.day.now_s - 1_000.0, went))
        if went < end - start:
            self.day.until_s = 0
        return went

    def close(self, timeout_s: float) -> int:  # noqa: ARG002 - as the real one
        return 0


def test_no_tick_goes_out_before_it_is_due_and_all_do_in_the_end() -> None:
    day = Day()
    outlet = Noted(day)
    sent = send_market(PLAN, ENCODER, outlet, day.wait, day.clock)
    out = 0
    for at_s, count in day.sent:
        out += count
        assert out <= PLAN.due_ticks(at_s)
    assert out == sent.ticks == PLAN.total_ticks == len(outlet.values)
    assert PLAN.seconds - 0.01 <= sent.seconds <= PLAN.seconds + 0.01
    assert sent.most_behind_s < 0.01


def test_the_sum_is_over_the_values_in_their_order() -> None:
    day = Day()
    outlet = Noted(day)
    sent = send_market(PLAN, ENCODER, outlet, day.wait, day.clock)
    assert sent.crc32 == sender.crc32_of(PLAN, ENCODER, sent.ticks)
    assert sent.crc32 != sender.crc32_of(PLAN, ENCODER, sent.ticks - 1)
    assert sent.crc32 == f"{zlib.crc32(b''.join(outlet.values)):08x}"


def test_a_feed_that_is_stopped_says_how_far_it_came() -> None:
    day = Day(until_s=2.5)
    outlet = Noted(day)
    sent = send_market(PLAN, ENCODER, outlet, day.wait, day.clock)
    assert len(outlet.values) == sent.ticks
    assert PLAN.due_ticks(2.4) < sent.ticks <= PLAN.due_ticks(2.6)
    assert sent.crc32 == sender.crc32_of(PLAN, ENCODER, sent.ticks)


def test_a_feed_that_is_stopped_while_the_broker_takes_nothing_says_so_too() -> None:
    day = Day()
    sent = send_market(PLAN, ENCODER, Noted(day, takes=7), day.wait, day.clock)
    assert sent.ticks == 7
    assert sent.crc32 == sender.crc32_of(PLAN, ENCODER, 7)


def test_what_a_broker_that_went_away_did_not_take_is_counted() -> None:
    broker = EmbeddedBroker()
    outlet = Outlet(broker.bootstrap, "ticks")
    outlet.connect()
    broker.stop()
    records = ENCODER.records(next(iter(parts(PLAN))))
    assert outlet.send(records, 0, 20, lambda _: False) == 20
    assert outlet.close(timeout_s=0.2) == 20


def test_a_full_queue_is_waited_for_until_told_to_stop() -> None:
    broker = EmbeddedBroker()
    outlet = Outlet(broker.bootstrap, "ticks", {"queue.buffering.max.messages": 5})
    outlet.connect()
    broker.stop()
    stop = threading.Event()
    waits = iter([False, False, True])
    records = ENCODER.records(next(iter(parts(PLAN))))
    assert outlet.send(records, 0, 20, lambda _: next(waits) or stop.is_set()) == 5


def test_a_broker_that_does_not_answer_is_told_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "CONNECT_TIMEOUT_S", 0.3)
    with pytest.raises(InputError, match=r"topic ticks at 127\.0\.0\.1:1: no answer.*TICKGATE_BROKER"):
        Outlet("127.0.0.1:1", "ticks").connect()
