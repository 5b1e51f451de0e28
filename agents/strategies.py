"""The agent of strategy changes: each event says that the table has taken some; quiet shards take note.

A notice may get lost in a rebalance, and nothing is lost by it: a shard that takes ticks takes the changes first.
"""

import faust

from streams.kafka.shards import Shards
from streams.kafka.strategy_book import StrategyBook


def add(app: faust.App, notices: faust.ChannelT[None], book: StrategyBook, shards: Shards) -> None:
    """Let the app have the agent."""

    @app.agent(notices, name="strategies")
    async def strategies(told: faust.StreamT[None]) -> None:
        async for _ in told:
            await book.caught_up()
            shards.refresh()
