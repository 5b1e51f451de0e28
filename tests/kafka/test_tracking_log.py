"""What a shard says of its update tracking: corrupt flags at once and once; what was saved every ten checks."""

import logging

import pytest

from streams.instruments import Done
from streams.kafka.tracking_log import TrackingLog

QUIET = Done(0.0, checks=3, processed=10, skipped=90)


def test_a_line_comes_with_every_ten_checks_and_is_of_these_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    log = TrackingLog(2)
    for _ in range(4):
        log.tell(QUIET)
    log.tell(QUIET._replace(checks=10, processed=500, skipped=500))
    assert caplog.messages == [
        "shard 2: 12 checks, processing 40/400 updated symbols, 360 skipped, saved: 90.0%",
        "shard 2: 10 checks, processing 500/1000 updated symbols, 500 skipped, saved: 50.0%",
    ]


def test_corrupt_flags_are_said_once_and_what_is_saved_only_where_it_is_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    log = TrackingLog(2)
    log.tell(QUIET._replace(checks=20, corruptions=1))
    log.tell(QUIET._replace(checks=20))
    (message,) = caplog.messages
    assert message.startswith("shard 2: update flags were corrupt")
