"""The same throttle in Quix Streams.

    python quix_peer.py BROKER TOPIC STRATEGIES.json TICKS exactly-once|at-least-once

Its clock runs from its first tick to its last one; flushing and committing the tail is not charged to it.
"""

import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import fastavro
from quixstreams import Application  # type: ignore[import-not-found] # it lives in an environment of its own

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


class Throttle:
    """What is called for each tick."""

    def __init__(self, strategies: Path, limit: int) -> None:
        self.by_ticker: dict[str, list[tuple[str, int]]] = {}
        for name, (timeframe, universe) in json.loads(strategies.read_text()).items():
            for ticker in universe:
                self.by_ticker.setdefault(ticker, []).append((name, timeframe))
        self.limit = limit
        self.seen = self.pairs = 0
        self.began = 0.0

    def __call__(self, value: bytes, state: Any) -> str:  # noqa: ANN401 - Quix has its own
        """Fire what is due; end with the last tick."""
        self.began = self.began or time.time()
        tick: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), SCHEMA, None)
        ticker, ts = tick["ticker"], tick["ts"]
        state.set("last_update", ts)
        fired = []
        if ticker in self.by_ticker:
            buckets = state.get("last_bucket", default=None) or {}
            for name, timeframe in self.by_ticker[ticker]:
                bucket = ts - ts % timeframe
                if buckets.get(name) != bucket:
                    buckets[name] = bucket
                    fired.append(f"{name}:{bucket}")
            if fired:
                state.set("last_bucket", buckets)
        self.seen, self.pairs = self.seen + 1, self.pairs + len(fired)
        if self.seen == self.limit:
            self.end()
        return ",".join(fired)

    def end(self) -> None:
        """Tell the result."""
        seconds = time.time() - self.began
        rate = self.seen / seconds
        line = {"peer": "quix", "ticks": self.seen, "seconds": seconds, "rate": rate, "pairs": self.pairs}
        os.write(1, (json.dumps(line) + "\n").encode())
        os._exit(0)


def main() -> None:
    """Run until the last tick."""
    broker, topic, strategies, limit, guarantee = sys.argv[1:]
    app = Application(
        broker_address=broker,
        consumer_group=f"quix-peer-{time.time()}",
        auto_offset_reset="earliest",
        state_dir=tempfile.mkdtemp(),
        loglevel="WARNING",
        processing_guarantee=guarantee,
        producer_extra_config={"linger.ms": 20, "compression.type": "lz4"},
    )
    source = app.topic(topic, key_deserializer="str", value_deserializer="bytes")
    alerts = app.topic("quix-peer-alerts", key_serializer="str", value_serializer="str")
    app.dataframe(source).apply(Throttle(Path(strategies), int(limit)), stateful=True).filter(bool).to_topic(alerts)
    app.run()


if __name__ == "__main__":
    main()
