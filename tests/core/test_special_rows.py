"""The rows that are of no ticker, as they are written and as they were."""

import pytest

from streams.core.avro import BadBytesError, long_map
from streams.core.limits import MAX_TS_MS, NEVER
from streams.core.special_rows import Position, put_position, read_position

BARE = {"next_offset": 5, "stream_ms": 1_760_000_000_000, "log_numbers": 2}


def test_a_position_comes_back_with_what_was_taken_of_each_input() -> None:
    inputs = {("strategy-changes", 0): 7, ("strategy-changes", 11): 1, ("clock", 3): 1 << 40}
    position = Position(5, 1_760_000_000_000, 2, {"fired": 3}, inputs)
    read = read_position(put_position(position)[1])
    assert read == position
    assert (read.of("strategy-changes"), read.of("clock"), read.of("ticks")) == ({0: 7, 11: 1}, {3: 1 << 40}, {})


def test_a_promise_comes_back_where_there_is_one() -> None:
    position = Position(5, 1_760_000_000_000, 2, {}, promised_ms=1_760_000_060_000)
    assert read_position(put_position(position)[1]) == position
    assert b"promised" not in put_position(position._replace(promised_ms=NEVER))[1]
    with pytest.raises(BadBytesError, match="promised_ms in it is out of bounds"):
        read_position(b"\1" + long_map(BARE | {"promised_ms": MAX_TS_MS}))


def test_a_position_from_before_there_were_other_inputs_is_read() -> None:
    value = b"\1" + long_map(BARE | {"count.fired": 3, "changes.0": 7, "changes.11": 1})
    assert read_position(value).inputs == {("strategy-changes", 0): 7, ("strategy-changes", 11): 1}


def test_fields_that_are_not_known_are_passed_over() -> None:
    value = b"\1" + long_map(BARE | {"changes.x": 1, "input.clock": 2, "input.clock/": 3, "clock/3": 4, "changed.5": 5})
    assert read_position(value).inputs == {}
