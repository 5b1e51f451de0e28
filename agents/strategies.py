"""The agent of strategies, flags and turns: each event says that a table has taken some; quiet shards take note.

A notice may get lost in a rebalance, and nothing is lost by it: a shard that takes ticks takes the changes first.
"""

import faust

from streams.kafka.other_books import Books
from streams.kafka.shards import Shards


def add(app: faust.App, notices: faust.ChannelT[None], books: Books, shards: Shards) -> None:
    """Let the app have the agent."""

    @app.agent(notices, name="strategies")
    async def strategies(told: faust.StreamT[None]) -> None:
        async for _ in told:
            await books.caught_up()
            shards.refresh()
