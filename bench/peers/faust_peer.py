"""The throttle as Faust's own documentation would have it: one event, two tables, one send.

    BROKER=127.0.0.1:9092 TOPIC=ticks STRATEGIES=W/strategies.json TICKS=100000 DATADIR=D \
        faust -A faust_peer worker -l warn --without-web

Its clock runs from its first tick to its last one; flushing and committing the tail is not charged to it.
"""

import io
import json
import os
import time
from pathlib import Path
from typing import Any

import fastavro
import faust
from faust.serializers import codecs

FIELDS = {"ticker": "string", "ts": "long", "price": "double", "size": "int"}
SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": "Tick",
        "fields": [
            *({"name": name, "type": kind} for name, kind in FIELDS.items()),
            {"name": "conditions", "type": {"type": "array", "items": "int"}},
        ],
    }
)


class AvroTick(codecs.Codec):
    """A tick behind five bytes of framing."""

    def _loads(self, data: bytes) -> Any:  # noqa: ANN401 - whatever the schema holds
        return fastavro.schemaless_reader(io.BytesIO(data[5:]), SCHEMA, None)


codecs.register("avrotick", AvroTick())

app = faust.App(
    f"faust-peer-{int(time.time())}",
    broker=f"kafka://{os.environ['BROKER']}",
    topic_partitions=4,
    topic_disable_leader=True,
    consumer_auto_offset_reset="earliest",
    broker_max_poll_records=5000,
    stream_buffer_maxsize=131_072,
    producer_linger=0.02,
    producer_compression_type="lz4",
    datadir=os.environ["DATADIR"],
)
ticks = app.topic(os.environ["TOPIC"], key_serializer="raw", value_serializer="avrotick")
alerts = app.topic("faust-peer-alerts", key_serializer="raw", value_serializer="json", partitions=4)
last_update = app.Table("last_update", key_type=str, partitions=4, default=int)
last_bucket = app.Table("last_bucket", key_type=str, partitions=4, default=dict)

by_ticker: dict[str, list[tuple[str, int]]] = {}
for name, (timeframe, universe) in json.loads(Path(os.environ["STRATEGIES"]).read_text()).items():
    for ticker in universe:
        by_ticker.setdefault(ticker, []).append((name, timeframe))

LIMIT = int(os.environ["TICKS"])


@app.agent(ticks)
async def throttle(stream: Any) -> None:  # noqa: ANN401 - Faust's streams have no types
    """Fire what is due for each tick; end with the last one."""
    seen = pairs = 0
    began = 0.0
    async for tick in stream:
        began = began or time.time()
        ticker, ts = tick["ticker"], tick["ts"]
        last_update[ticker] = ts
        buckets, fired = last_bucket[ticker], []
        for name, timeframe in by_ticker.get(ticker, ()):
            bucket = ts - ts % timeframe
            if buckets.get(name) != bucket:
                buckets[name] = bucket
                fired.append([name, bucket])
        if fired:
            last_bucket[ticker] = buckets
            await alerts.send(key=ticker.encode(), value={"ticker": ticker, "fired": fired})
        seen, pairs = seen + 1, pairs + len(fired)
        if seen == LIMIT:
            seconds = time.time() - began
            line = {"peer": "faust", "ticks": seen, "seconds": seconds, "rate": seen / seconds, "pairs": pairs}
            os.write(1, (json.dumps(line) + "\n").encode())
            os._exit(0)
