"""The names of all topics, made of what names the environment and the application."""

from typing import Final, NamedTuple

STRATEGY_CHANGES: Final = "strategy-changes"
CONTROLS: Final = "controls"
CLOCK: Final = "clock"
INPUTS: Final = ("ticks", STRATEGY_CHANGES, "alert-results", CONTROLS, CLOCK)
"""Topics that are read; each has dead letters of its own."""

JOURNAL: Final = "journal"
TURNS: Final = "turns"
CONVICTION: Final = "conviction"
CONVICTION_STATE: Final = "conviction-state"
OUTPUTS: Final = ("alert-executions", "proposals", "decisions", CONVICTION)
TABLES: Final = ("last_update", "last_bucket")
"""Faust tables whose rows are partitioned as `ticks` is."""


class TopicNames(NamedTuple):
    """Every topic of one environment."""

    prefix: str
    app_id: str

    @property
    def ticks(self) -> str:
        """Trades, by ticker."""
        return f"{self.prefix}ticks"

    @property
    def strategy_changes(self) -> str:
        """Versions of strategies, by strategy; compacted."""
        return f"{self.prefix}{STRATEGY_CHANGES}"

    @property
    def alert_executions(self) -> str:
        """What is to run, by strategy."""
        return f"{self.prefix}alert-executions"

    @property
    def alert_results(self) -> str:
        """What became of executions, by strategy."""
        return f"{self.prefix}alert-results"

    @property
    def proposals(self) -> str:
        """Triggers that convinced, by strategy."""
        return f"{self.prefix}proposals"

    @property
    def decisions(self) -> str:
        """Why strategies that were asked for fired or did not, by strategy."""
        return f"{self.prefix}decisions"

    @property
    def controls(self) -> str:
        """Settings changed while running; compacted."""
        return f"{self.prefix}controls"

    @property
    def clock(self) -> str:
        """Time for shards without ticks, by partition."""
        return f"{self.prefix}{CLOCK}"

    @property
    def journal(self) -> str:
        """Where in the ticks what else came in was taken, by partition."""
        return f"{self.prefix}{JOURNAL}"

    @property
    def turns(self) -> str:
        """What shards tell each other, so that a bucket is decided in one way; compacted."""
        return f"{self.prefix}{TURNS}"

    @property
    def conviction(self) -> str:
        """Each change of the conviction that a trigger needs, and from where on it holds."""
        return f"{self.prefix}{CONVICTION}"

    @property
    def conviction_state(self) -> str:
        """What whoever makes proposals has to remember; compacted."""
        return f"{self.prefix}{CONVICTION_STATE}"

    def dead_letters(self, topic: str) -> str:
        """Where what was refused of an input goes; `topic` has its prefix."""
        assert topic in self.inputs, f"{topic} is no input"
        return f"{topic}.dlq"

    def changelog(self, table: str) -> str:
        """The rows of one table."""
        assert table in TABLES, f"there is no table {table}"
        return f"{self.prefix}{self.app_id}-{table}-changelog"

    @property
    def inputs(self) -> tuple[str, ...]:
        """All topics that are read."""
        return tuple(f"{self.prefix}{each}" for each in INPUTS)

    @property
    def outputs(self) -> tuple[str, ...]:
        """All topics that others read."""
        return tuple(f"{self.prefix}{each}" for each in OUTPUTS)

    @property
    def changelogs(self) -> tuple[str, ...]:
        """The changelogs of all tables of state."""
        return tuple(map(self.changelog, TABLES))

    @property
    def all(self) -> tuple[str, ...]:
        """Every topic, in a fixed order."""
        own = (self.turns, self.journal, self.conviction_state, *self.changelogs)
        return (*self.inputs, *self.outputs, *map(self.dead_letters, self.inputs), *own)
