"""The agent of `alert-results`: each event is a run of one partition, for the discovery of that partition."""

import faust

from streams.kafka.discoveries import Discoveries
from streams.kafka.fetch import RawRun


def add(app: faust.App, topic: faust.TopicT, discoveries: Discoveries) -> None:
    """Let the app have the agent."""

    @app.agent(topic, name="results")
    async def results(runs: faust.StreamT[RawRun]) -> None:
        async for run in runs:
            await discoveries.take(run)
