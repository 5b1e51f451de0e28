"""The same as worker.py with nothing but confluent-kafka, fastavro and the schema files: for those with a client.

    TICKGATE_BROKER=127.0.0.1:9092 SCHEMAS=schemas .venv/bin/python examples/plain_worker.py

It handles a few executions, waits until their results are acknowledged, and only then commits. A group changes hands
only within `consume`, where nothing is under way. What it leaves out: after a restart it has forgotten what was seen.
"""

import io
import json
import os
import signal
import struct
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import Consumer, KafkaException, Message, Producer

PREFIX = struct.Struct(">BI")  # magic 0, then the schema's id: that is Confluent's framing
EXECUTION_ID, RESULT_ID = 3, 4  # from schemas/registry.json
MOST_SEEN = 200_000
Record = dict[str, Any]

broker, prefix = os.environ["TICKGATE_BROKER"], os.environ.get("TICKGATE_TOPIC_PREFIX", "")
schemas = Path(os.environ["SCHEMAS"])
execution_schema = fastavro.parse_schema(json.loads((schemas / "execution.avsc").read_text()))
result_schema = fastavro.parse_schema(json.loads((schemas / "result.avsc").read_text()))
seen: OrderedDict[tuple[str, str, int, str], None] = OrderedDict()


def my_strategy(execution: Record) -> Record:
    """Put your strategy here; returns the fields of a result."""
    print(execution["strategy_id"], execution["bucket_ms"], execution["scope"], *execution["tickers"], flush=True)
    return {"status": "ok", "triggers": [{"ticker": each, "conviction": 0.5} for each in execution["tickers"]]}


def decoded(message: Message) -> Record | None:
    """The execution of a record; None, told on stderr, where it holds none."""
    value, why = message.value() or b"", "not an execution in Confluent's framing"
    if value[: PREFIX.size] == PREFIX.pack(0, EXECUTION_ID):
        try:
            record = fastavro.schemaless_reader(io.BytesIO(value[PREFIX.size :]), execution_schema, None)
        except Exception as error:  # noqa: BLE001 - a bad value costs only itself
            why = f"{type(error).__name__}: {error}"
        else:
            assert isinstance(record, dict)
            return record
    print(f"left out {message.topic()}-{message.partition()}@{message.offset()}: {why}", file=sys.stderr)
    return None


def only_new(execution: Record) -> bool:
    """Leave in an execution only the tickers that were not seen; false where nothing is left."""

    def is_new(ticker: str) -> bool:
        key = (execution["run_id"], execution["strategy_id"], execution["bucket_ms"], ticker)
        known = key in seen
        seen[key] = None
        while len(seen) > MOST_SEEN:
            seen.popitem(last=False)
        return not known

    if execution["scope"] == "universe":
        return is_new("")
    execution["tickers"] = [ticker for ticker in execution["tickers"] if is_new(ticker)]
    return bool(execution["tickers"])


def result_of(execution: Record) -> bytes:
    """Run the strategy, and encode what came of it."""
    same = ("execution_id", "strategy_id", "strategy_version", "bucket_ms", "ts")
    try:
        told = my_strategy(execution)
    except Exception as error:  # noqa: BLE001 - one that fails does not stop the rest
        told = {"status": "failed", "error": f"{type(error).__name__}: {error}"[:1_000]}
    out = io.BytesIO()
    out.write(PREFIX.pack(0, RESULT_ID))
    fastavro.schemaless_writer(out, result_schema, {**{name: execution[name] for name in same}, **told})
    return out.getvalue()


def main() -> None:
    """Work until SIGTERM or SIGINT."""
    stops: list[int] = []
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda number, _: stops.append(number))
    own = {"group.id": f"{prefix}plain-worker", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer = Consumer({"bootstrap.servers": broker, "isolation.level": "read_committed", **own})
    safe = {"acks": "all", "enable.idempotence": True, "partitioner": "murmur2_random"}  # partitions as Java does
    producer = Producer({"bootstrap.servers": broker, **safe})
    refused: list[object] = []

    def delivered(error: object, _: object) -> None:
        if error is not None:
            refused.append(error)

    consumer.subscribe([f"{prefix}alert-executions"])
    while not stops:
        messages = consumer.consume(100, 0.5)
        for message in messages:
            if message.error() is not None:
                raise KafkaException(message.error())
            execution = decoded(message)
            if execution is not None and only_new(execution):
                key, value = execution["strategy_id"], result_of(execution)
                producer.produce(f"{prefix}alert-results", value, key, timestamp=execution["ts"], on_delivery=delivered)
        if producer.flush(30) or refused:
            sys.exit(f"results were not acknowledged, so nothing of them is committed: {refused}")
        if messages:
            consumer.commit(asynchronous=False)
    consumer.close()


if __name__ == "__main__":
    main()
