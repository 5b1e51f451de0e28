"""Why a record cannot be used: a word to count by, a sentence, and what to do. What is not listed here is not said."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from streams.core.decode import FAULT
from streams.core.limits import MAX_CONDITIONS, MAX_TICKER_BYTES, MAX_TICKERS, MAX_VALUE_BYTES


class Reason(NamedTuple):
    """Why a record was refused."""

    word: str
    """Snake case, and one of a few: metrics count by it."""
    detail: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.word}: {self.detail}; {self.remedy}"


class BadValueError(Exception):
    """A record that cannot be used; it goes to the dead letters, and the others go on."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


SEND_AVRO: Final = "write magic 0, the schema id in four bytes, then the record in Avro's binary form"
CHECK_WRITER: Final = "check that the writer used the schema it named"

NULL_VALUE: Final = Reason("null_value", "the record has no value", "send a value; only compacted topics take a null")
NULL_KEY: Final = Reason(
    "null_key", "the record has no key, so it may lie in any partition", "send the ticker as the key, in UTF-8"
)
NO_PREFIX: Final = Reason("truncated", "the value is shorter than the five bytes of the framing", SEND_AVRO)
WRONG_MAGIC: Final = Reason("wrong_magic", "the first byte is not 0, so the value is not framed", SEND_AVRO)
BAD_HEADER: Final = Reason(
    "bad_schema_header",
    "the header __value_schema_id holds neither 0 and an id of four bytes nor 1 and a GUID of sixteen",
    "let the serializer write that header, or leave it out and put the id in front of the value",
)

FAULT_REASONS: Final[Mapping[int, Reason]] = {
    FAULT.MAGIC: WRONG_MAGIC,
    FAULT.OTHER_SCHEMA: Reason("other_schema", "the value names another schema id", CHECK_WRITER),
    FAULT.TRUNCATED: Reason("truncated", "the value ends within a field", CHECK_WRITER),
    FAULT.VARINT: Reason("bad_number", "a whole number takes more than 64 bits", CHECK_WRITER),
    FAULT.LENGTH: Reason("bad_length", "a length is negative, or goes past the end of the value", CHECK_WRITER),
    FAULT.BRANCH: Reason("bad_branch", "a union names a branch that its schema does not have", CHECK_WRITER),
    FAULT.ITEMS: Reason("too_many_items", "an array or a map states more items than it has bytes", CHECK_WRITER),
    FAULT.MISSING: Reason("missing_field", "the ticker or the time is null", "send a tick with both"),
    FAULT.TICKER_EMPTY: Reason("empty_ticker", "the ticker is empty", "send the ticker as the feed spells it"),
    FAULT.TICKER_TOO_LONG: Reason(
        "ticker_too_long", f"the ticker has more than {MAX_TICKER_BYTES} bytes in UTF-8", "send a shorter one"
    ),
    FAULT.TS: Reason(
        "ts_out_of_range", "the time lies before 1970 or after 2099", "send it in ms since 1970-01-01 UTC, not in ns"
    ),
    FAULT.CONDITIONS: Reason(
        "too_many_conditions", f"there are more than {MAX_CONDITIONS} condition codes", "send each code once"
    ),
    FAULT.TRAILING: Reason("trailing_bytes", "bytes are left behind the record", CHECK_WRITER),
    FAULT.TOO_LONG: Reason(
        "too_large", f"the value has more than {MAX_VALUE_BYTES} bytes", "send one record in each value"
    ),
    FAULT.TICKER_NOT_UTF8: Reason("ticker_not_utf8", "the ticker is not UTF-8", "send it in UTF-8"),
    FAULT.WRONG_PARTITION: Reason(
        "wrong_partition",
        "the ticker belongs in another partition, whose shard has its state",
        "send the ticker as the key, and partition by murmur2, as Java's producer does",
    ),
    FAULT.TOO_MANY_TICKERS: Reason(
        "too_many_tickers",
        f"the partition holds {MAX_TICKERS} tickers already",
        "spread the topic over more partitions; check that the field holds tickers",
    ),
}
"""One for each way a value can fail to be a tick. `NONE` is the one fault that is none."""


def unknown_schema(detail: str, remedy: str) -> Reason:
    """For a schema id that nobody has given out."""
    return Reason("unknown_schema_id", detail, remedy)


def schema_refused(detail: str, remedy: str) -> Reason:
    """For a schema that is known, and cannot be used."""
    return Reason("schema_refused", detail, remedy)
