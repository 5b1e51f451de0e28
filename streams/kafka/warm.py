"""The compiled reader of record batches, called once before a worker joins its group.

The compiler holds up the thread that it runs in; one that fetches would miss its heartbeats and lose its group.
"""

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from streams.kafka.record_batch import Response


def warm_up() -> None:
    """Read a batch of one record, in a transaction that was aborted and in one that was not."""
    builder = DefaultRecordBatchBuilder(2, 0, 1, 1, 0, 0, 1 << 10)
    builder.append(0, 0, b"key", b"value", [("header", b"value")])
    data = bytes(builder.build())
    nothing_aborted: list[tuple[int, int]] = []
    for aborted in (nothing_aborted, [(1, 0)]):
        run = Response(data, 0, aborted).next_run()
        if run is not None and len(run.columns):
            run.columns.headers(0)
