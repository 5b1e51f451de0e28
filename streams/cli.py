"""The command line: reads what was asked for, calls, and says what came of it.

Each command imports what it needs itself, so that `tickgate --help` is quick.
"""

import zoneinfo

import click

from streams import __version__
from streams.commands import (
    compare,
    demo,
    explain,
    feed,
    feed_live,
    flags,
    proposals,
    record,
    redis,
    replay,
    rollout,
    rollout_moves,
    settings,
    state,
    strategies,
    strategies_sync,
    strategy_moves,
    topics,
    universe,
    worker,
)


@click.group()
@click.version_option(__version__, prog_name="tickgate")
def main() -> None:
    """Ticks in, alert executions out: once per strategy, ticker and time bucket."""
    # Time zones out of the pinned package, never the machine's own: a replay gives the same bytes everywhere.
    zoneinfo.reset_tzpath(to=())


for command in (
    compare.compare,
    demo.demo,
    explain.explain,
    feed.feed,
    flags.flags,
    proposals.proposals,
    record.record,
    redis.redis,
    replay.replay,
    replay.variant,
    rollout.rollout,
    settings.settings,
    state.state,
    strategies.strategies,
    topics.topics,
    universe.universe,
    worker.worker,
):
    main.add_command(command)
for command in (*strategy_moves.COMMANDS, strategies_sync.sync):
    strategies.strategies.add_command(command)
for command in feed_live.COMMANDS:
    feed.feed.add_command(command)
for command in rollout_moves.COMMANDS:
    rollout.rollout.add_command(command)

if __name__ == "__main__":
    main()
