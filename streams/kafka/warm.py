"""Everything that is compiled, here and in the core, called once before a worker joins its group.

The compiler holds up the event loop; a worker that has joined would miss its heartbeats and lose its group.
"""

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from streams.core import warm
from streams.core.conditions import ConditionTable
from streams.core.records import concatenated, records_of
from streams.kafka import tick_values
from streams.kafka.laid_out_batch import batches
from streams.kafka.record_batch import Response
from streams.reference_data import load_conditions


def warm_up(conditions: ConditionTable | None = None) -> None:
    """Take a tick through all that a worker does; with the condition table that comes along, where none is given."""
    table = conditions or load_conditions()
    warm.warm_up(table)
    tick_values.warm_up(table)
    warm_up_reading()
    warm_up_writing()


def warm_up_reading() -> None:
    """Read a batch of one record, in a transaction that was aborted and in one that was not."""
    builder = DefaultRecordBatchBuilder(2, 0, 1, 1, 0, 0, 1 << 10)
    builder.append(0, 0, b"key", b"value", [("header", b"value")])
    data = bytes(builder.build())
    nothing_aborted: list[tuple[int, int]] = []
    for aborted in (nothing_aborted, [(1, 0)]):
        run = Response(data, 0, aborted).next_run()
        if run is not None and len(run.columns):
            run.columns.headers(0)


def warm_up_writing() -> None:
    """Lay out a batch of one record."""
    records = concatenated([records_of([(b"key", b"value")], 0)])
    for batch in batches(records, compression="none", transactional=False, max_bytes=1 << 10):
        batch._build()  # noqa: SLF001 - as aiokafka calls it
