"""The agent of `clock`: each event is what one fetch brought of it, run by run for the shards that own them."""

from collections.abc import Sequence

import faust

from streams.kafka.fetch import RawRun
from streams.kafka.shards import Shards


def add(app: faust.App, topic: faust.TopicT, shards: Shards) -> None:
    """Let the app have the agent."""

    @app.agent(topic, name="clock")
    async def clock(fetches: faust.StreamT[Sequence[RawRun]]) -> None:
        async for runs in fetches:
            await shards.take(runs)
