"""The agent of `ticks`: each event is a run of one partition, and goes to the shard that owns it."""

import faust

from streams.kafka.fetch import RawRun
from streams.kafka.shards import Shards


def add(app: faust.App, topic: faust.TopicT, shards: Shards) -> None:
    """Let the app have the agent."""

    @app.agent(topic, name="ticks")
    async def ticks(runs: faust.StreamT[RawRun]) -> None:
        async for run in runs:
            await shards.take(run)
