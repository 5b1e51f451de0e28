"""Clock records as they come: each is a time, or the reason why it is none."""

import asyncio
from typing import Final

from streams.core.clock import is_too_far_ahead
from streams.core.decode import FAULT
from streams.core.limits import MAX_CLOCK_AHEAD_MS, MAX_TS_MS, MIN_TS_MS
from streams.kafka.bad_values import FAULT_REASONS, BadValueError, Reason
from streams.kafka.codec import Decoder
from streams.kafka.record_batch import RecordColumns
from streams.kafka.registry import Schemas

MAX_CLOCK_BYTES: Final = 1 << 10
"""One value: a number, its framing, and what later versions may add."""

AT_ONCE: Final = 100
"""Records between two turns of whoever else waits."""

TOO_FAR_AHEAD: Final = Reason(
    "clock_too_far_ahead",
    f"it would move stream time by more than {MAX_CLOCK_AHEAD_MS // 86_400_000} days",
    "send the time in ms since 1970-01-01 UTC; a shard that was quiet for longer is moved by a tick, or in steps",
)


class ClockValues:
    """Decodes runs of clock records, for any shard."""

    def __init__(self, schemas: Schemas) -> None:
        self._decoder = Decoder(schemas, "clock", MAX_CLOCK_BYTES)

    async def read(self, run: RecordColumns) -> list[int | Reason]:
        """The time of each record. Waits for schemas that are new; raises `RegistryDownError`."""
        found: list[int | Reason] = []
        for row in range(len(run)):
            found.append(await self._time(run, row))
            if not len(found) % AT_ONCE:
                await asyncio.sleep(0)
        return found

    async def _time(self, run: RecordColumns, row: int) -> int | Reason:
        try:
            record = await self._decoder.adecode(run.value(row), tuple(run.headers(row)))
        except BadValueError as error:
            return error.reason
        ts_ms: int = record["ts"]
        return ts_ms if MIN_TS_MS <= ts_ms < MAX_TS_MS else FAULT_REASONS[FAULT.TS]


def judged(stream_ms: int, times: list[int | Reason]) -> list[int | Reason]:
    """The same, with those refused that lie too far ahead of the time that those before have brought."""
    found: list[int | Reason] = []
    for each in times:
        if isinstance(each, int) and is_too_far_ahead(stream_ms, each):
            found.append(TOO_FAR_AHEAD)
            continue
        if isinstance(each, int):
            stream_ms = max(stream_ms, each)
        found.append(each)
    return found
