"""Clock records: which of them move a shard, and when the owner of a quiet shard writes one. Time is an argument here.

What reads the time and sends the record stands elsewhere (`streams/kafka/quiet_shards.py`). So time enters a shard
only as a record, and whoever reads the topic again meets it at the same place.
"""

from streams.core.limits import FOREVER, MAX_CLOCK_AHEAD_MS, MAX_TS_MS, NEVER


def is_too_far_ahead(stream_ms: int, ts_ms: int) -> bool:
    """Whether a record would move stream time by more than one record may. A shard without any takes the first."""
    return stream_ms != NEVER and ts_ms - stream_ms > MAX_CLOCK_AHEAD_MS


def record_ms(stream_ms: int, due_ms: int, quiet_ms: int) -> int:
    """The time to write for a shard that waits for `due_ms`; NEVER where it is not time yet, or nothing is waited for.

    `quiet_ms` has passed since the last record came. Time goes on from that record, and no faster than it passes: a
    day that is replayed stays old. Where much has passed, the record says so, within what one may say.
    """
    if NEVER in {stream_ms, due_ms} or due_ms == FOREVER:
        return NEVER
    now_ms = min(stream_ms + quiet_ms, stream_ms + MAX_CLOCK_AHEAD_MS)
    return now_ms if now_ms >= min(due_ms, stream_ms + MAX_CLOCK_AHEAD_MS) and now_ms < MAX_TS_MS else NEVER
