"""Partitions of keys: those that Java's producer gives them, in Python and in the kernel alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.records import partitions_of, records_of
from streams.kafka import partitions
from streams.kafka.partitions import Homes, partition_of
from tests.core.java_hashes import HASHES


@pytest.mark.parametrize(("key", "hashed"), HASHES)
def test_a_key_belongs_where_java_puts_it(key: bytes, hashed: int) -> None:
    for count in (1, 4, 7, 1000):
        assert partition_of(key, count) == (hashed & 0x7FFFFFFF) % count


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1), st.integers(1, 64))
def test_executions_go_where_a_shard_thinks_they_go(keys: list[bytes], count: int) -> None:
    records = records_of([(key, b"") for key in keys], 0)
    assert partitions_of(records, count).tolist() == [partition_of(key, count) for key in keys]


def test_a_record_without_a_key_goes_to_the_first() -> None:
    assert partition_of(None, 4) == 0


def test_the_home_of_a_ticker_is_the_partition_of_its_key_and_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    homes = Homes(7)
    names = ["AAPL", "BRK.B", "ÄÖÜ", "\0odd"]
    assert [homes[name] for name in names] == [partition_of(name.encode(), 7) for name in names]
    assert len({homes[str(number)] for number in range(100)}) == 7
    monkeypatch.setattr(partitions, "partition_of", None)
    assert homes["AAPL"] == partition_of(b"AAPL", 7)
