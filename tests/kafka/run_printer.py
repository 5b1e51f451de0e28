"""A Faust worker that prints every run it is handed: `python -m tests.kafka.run_printer BROKER PREFIX APP_ID`."""

import json
import os
import sys
from collections.abc import Collection, Mapping
from typing import Any

import faust

from streams.kafka.faust_app import TickgateApp
from streams.kafka.fetch import Bounds
from streams.kafka.warm import warm_up
from streams.settings import Settings
from tests.holes.stage import NotingResults


class PrintingShards:
    """Stands where the shards stand, and keeps nothing."""

    async def fence(self, partitions: Collection[int]) -> None:
        say(fence=sorted(partitions))

    def position(self, topic: str, partition: int) -> int | None:  # noqa: ARG002 - as the transport calls it
        return 7 if partition == 0 else None

    def seeked(self, positions: Mapping[tuple[str, int], tuple[int, Bounds]]) -> None:
        say(seeked={partition: offset for (_, partition), (offset, _) in positions.items()})

    def wants_more(self, topic: str, partition: int) -> bool:  # noqa: ARG002 - as the transport calls it
        return True

    def fetched(self) -> None:
        pass

    def committed(self) -> dict[int, int]:
        return {}

    async def drain(self) -> None:
        say(drain=True)


def say(**what: Any) -> None:
    """One line for the test to read."""
    os.write(1, (json.dumps(what) + "\n").encode())  # Faust takes sys.stdout for its log


def main(broker: str, prefix: str, app_id: str) -> None:
    """Run until a signal comes."""
    warm_up()
    settings = Settings(broker=broker, topic_prefix=prefix, app_id=app_id, session_timeout_ms=6_000)
    app = TickgateApp(settings, PrintingShards(), NotingResults())
    ticks = app.topic(settings.topics.ticks, key_serializer="raw", value_serializer="raw")
    others = app.topic(settings.topics.proposals, key_serializer="raw", value_serializer="raw")

    @app.agent(ticks)
    async def take_runs(stream: Any) -> None:
        async for runs in stream:
            for run in runs:
                values = [(run.columns.value(i) or b"").decode() for i in range(len(run.columns))]
                say(run=[run.partition, run.start, run.position], values=values)

    @app.agent(others)
    async def take_records(stream: Any) -> None:
        async for event in stream.events():
            say(record=[event.message.partition, event.message.offset, event.value.decode()])

    faust.Worker(app, loglevel="WARNING", override_logging=True).execute_from_commandline()


if __name__ == "__main__":
    main(*sys.argv[1:4])
