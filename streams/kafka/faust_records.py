"""Runs as Faust takes consumer records: one for a run, one for a whole fetch, or one for each record in it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from streams.kafka.fetch import RawRun


class RunRecord(NamedTuple):
    """One run as a consumer record, as Faust looks at one."""

    topic: str
    partition: int
    offset: int
    """The position less one, past any transaction marker at the end: recovery waits for this offset."""
    value: RawRun | tuple[RawRun, ...]
    """What is taken as it is, and not decoded by Faust."""
    timestamp: int
    key: None = None
    headers: tuple[()] = ()
    timestamp_type: int = 0
    checksum: None = None
    serialized_key_size: int = 0
    serialized_value_size: int = 0


class SingleRecord(NamedTuple):
    """One record of a topic that comes record by record."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp_type: int = 0
    checksum: None = None
    serialized_key_size: int = 0
    serialized_value_size: int = 0


def run_records(runs: Iterable[RawRun]) -> list[RunRecord]:
    """One record a run."""
    return [
        RunRecord(
            run.topic,
            run.partition,
            run.position - 1,
            run,
            int(run.columns.ts_ms[-1]) if len(run.columns) else 0,
        )
        for run in runs
    ]


def fetch_record(runs: Sequence[RawRun]) -> RunRecord:
    """One record for all runs of a fetch. Faust counts it to the partition of the first; our shards look at each."""
    return run_records(runs[:1])[0]._replace(value=tuple(runs))


def single_records(runs: Iterable[RawRun]) -> list[SingleRecord]:
    """The records of runs, one by one."""
    return [
        SingleRecord(
            run.topic,
            run.partition,
            int(run.columns.offset[i]),
            run.columns.key(i),
            run.columns.value(i),
            int(run.columns.ts_ms[i]),
            tuple(run.columns.headers(i)),
        )
        for run in runs
        for i in range(len(run.columns))
    ]
