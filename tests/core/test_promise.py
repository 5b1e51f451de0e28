"""How far stream time may go before rows say so."""

from streams.core.limits import FOREVER, MAX_TS_MS, NEVER
from streams.core.promise import LEAD_MS, Promise


def test_where_executions_go_out_with_their_rows_nobody_is_bound_and_what_was_promised_stays() -> None:
    promise = Promise(77)
    assert promise.until_ms == FOREVER
    promise.must_reach(2_000)
    assert promise.tell(1_000) == 77
    promise.keep()
    assert promise.until_ms == FOREVER


def test_without_rows_no_time_is_promised() -> None:
    promise = Promise(needed=True)
    assert promise.until_ms == NEVER
    assert promise.tell(NEVER) == NEVER
    promise.must_reach(5_000)
    promise.must_reach(4_000)
    assert promise.tell(NEVER) == 5_000 + LEAD_MS
    assert promise.until_ms == NEVER
    promise.keep()
    assert promise.until_ms == 5_000 + LEAD_MS


def test_what_the_rows_hold_is_gone_on_with() -> None:
    assert Promise(5_000, needed=True).until_ms == 5_000


def test_while_new_rows_are_on_their_way_both_promises_bind() -> None:
    promise = Promise(900_000, needed=True)
    lower_ms = promise.tell(100_000)
    assert lower_ms == 100_000 + LEAD_MS
    assert promise.until_ms == lower_ms  # an owner that dies now has not gone past what these rows hold
    promise.keep()
    promise.must_reach(300_000)
    higher_ms = promise.tell(200_000)
    assert (higher_ms, promise.until_ms) == (500_000, lower_ms)  # twice what time has run since
    promise.keep()
    assert promise.until_ms == higher_ms


def test_a_promise_is_a_time_that_rows_can_hold() -> None:
    assert Promise(needed=True).tell(MAX_TS_MS - 5) == MAX_TS_MS - 1
