"""Points in time are read as people write them, and shown so that they can be read again."""

import pytest

from streams.errors import InputError
from streams.times import read_time, shown_time

NOON_MS = 1_732_536_000_000


@pytest.mark.parametrize(
    "text",
    ["2024-11-25T12:00:00Z", "2024-11-25T12:00", "2024-11-25 13:00+01:00", "1732536000000", "20241125T120000"],
)
def test_a_moment_may_be_written_in_many_ways(text: str) -> None:
    assert read_time(text, "--at") == NOON_MS


def test_milliseconds_are_exact_and_a_date_alone_is_its_midnight() -> None:
    assert read_time("2024-11-25T12:00:00.123456Z", "--at") == NOON_MS + 123
    assert read_time("20241125", "--at") == read_time("2024-11-25", "--at") == NOON_MS - 43_200_000


@pytest.mark.parametrize("ts_ms", [0, NOON_MS, NOON_MS + 1, NOON_MS + 999])
def test_what_is_shown_can_be_read(ts_ms: int) -> None:
    assert read_time(shown_time(ts_ms), "--at") == ts_ms


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("noon", "'noon' is no point in time"),
        ("1969-12-31", "does not lie between"),
        ("9" * 30, "does not lie between"),
    ],
)
def test_what_is_none_is_told(text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        read_time(text, "--at")
