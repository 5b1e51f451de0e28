"""Results as they stand on `alert-results`: from the record to what it says, and what discovery wants to know of it."""

from typing import Any, Final, NamedTuple

from streams.core.discovery import Report
from streams.errors import shortened
from streams.kafka.bad_values import BadValueError, Reason
from streams.kafka.codec import Decoder
from streams.kafka.partitions import partition_of
from streams.kafka.strategy_fold import id_of
from streams.kafka.whole_topic import Record

RECORD: Final = "result"
"""The file in `schemas/` that a record of the topic is written by."""

OK: Final = "ok"
STATUSES: Final = (OK, "failed", "skipped")


class Result(NamedTuple):
    """What became of an execution."""

    strategy_id: str
    status: str
    report: Report


def decoded_result(record: Record, decoder: Decoder, partitions: int) -> dict[str, Any] | Reason:
    """All that a record says, or why it is no result; raises `RegistryDownError`."""
    try:
        strategy_id = id_of(record)
        decoded = decoder.decode(record.value, record.headers)
    except BadValueError as error:
        return error.reason
    if decoded["strategy_id"] != strategy_id:
        detail = f"its key is {shortened(strategy_id)}, its strategy {shortened(decoded['strategy_id'])}"
        return Reason("other_key", detail, "send the strategy's id as the key")
    if partition_of(strategy_id.encode(), partitions) != record.partition:
        remedy = "partition by murmur2 of the key, as Java's producer does"
        return Reason("wrong_partition", "the strategy's results belong in another partition", remedy)
    if decoded["status"] not in STATUSES:
        detail = f"status is {shortened(decoded['status'])}"
        return Reason("bad_status", detail, f"send one of {', '.join(STATUSES)}")
    return decoded


def read_result(record: Record, decoder: Decoder, partitions: int) -> Result | Reason:
    """What discovery wants to know of a record; raises `RegistryDownError`."""
    decoded = decoded_result(record, decoder, partitions)
    if isinstance(decoded, Reason):
        return decoded
    report = Report(decoded["strategy_version"], decoded["ts"], frozenset(decoded["used_symbols"]))
    return Result(decoded["strategy_id"], decoded["status"], report)
