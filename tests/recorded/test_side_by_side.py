"""Topics are read at the same time, and each comes out as it would alone."""

from collections.abc import Iterator
from threading import Barrier

import pytest

from streams.errors import InputError
from streams.kafka.whole_topic import Record
from streams.recorded.side_by_side import AT_ONCE, side_by_side

PATIENCE_S = 20


def test_topics_are_begun_together_and_each_keeps_its_order() -> None:
    begun = Barrier(3)

    def read(topic: str) -> Iterator[Record]:
        begun.wait(PATIENCE_S)  # breaks where one waits for another to end
        for offset in range({"none": 0, "few": 3, "many": 5 * AT_ONCE + 1}[topic]):
            yield Record(0, offset, topic.encode(), None)

    with side_by_side(read, ["none", "few", "many"]) as topics:
        assert [*topics["none"]] == []
        assert [record.offset for record in topics["many"]] == list(range(5 * AT_ONCE + 1))
        assert [(record.key, record.offset) for record in topics["few"]] == [(b"few", k) for k in range(3)]


def test_what_goes_wrong_with_one_is_raised_where_it_is_asked_for() -> None:
    def read(topic: str) -> Iterator[Record]:
        yield Record(0, 0, None, None)
        if topic == "bad":
            raise InputError("topic bad", "is bad", "mend it")

    with side_by_side(read, ["bad", "good"]) as topics:
        assert len([*topics["good"]]) == 1
        with pytest.raises(InputError, match="is bad"):
            list(topics["bad"])
