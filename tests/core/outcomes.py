"""What a shard makes of encoded values, told as the plain reader tells it."""

from collections.abc import Sequence

from streams.core.columns import Bytes, Int32s, Int64s
from streams.core.decode import FAULT
from streams.core.kernel import NO_TICK
from streams.core.shard import Shard
from tests.core.avro_bytes import joined
from tests.core.plain_reader import Outcome

Placed = tuple[Bytes, Int64s, Int64s]
"""Bytes, and where values start and end in them."""


def outcomes_at(shard: Shard, placed: Placed, plan: Int32s, schema_id: int = 1) -> list[Outcome]:
    """What becomes of each value."""
    ticks, faults = shard.from_values(*placed, plan, schema_id)
    names = shard.index.tickers.all_names()
    found: list[Outcome] = []
    for fault, ticker, ts_ms, moves in zip(
        faults.tolist(), ticks.ticker.tolist(), ticks.ts_ms.tolist(), ticks.moves_price.tolist(), strict=True
    ):
        assert (ticker == NO_TICK) == (fault != FAULT.NONE)
        if fault != FAULT.NONE:
            found.append(Outcome(fault))
        else:
            found.append(Outcome(FAULT.NONE, names[ticker].encode() if moves else b"", ts_ms, bool(moves)))
            assert ticker >= 0 or not moves
    return found


def outcomes(shard: Shard, values: Sequence[bytes], plan: Int32s, schema_id: int = 1) -> list[Outcome]:
    """What becomes of each value of a batch."""
    return outcomes_at(shard, joined(values), plan, schema_id)
