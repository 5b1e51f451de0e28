"""What the terminal shows: tables for one that can, else a line now and then. It reads nothing itself."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from streams.demo.readings import Reading, Shard

TICKERS_SHOWN: Final = 6


class Moment(NamedTuple):
    """All that is shown at one time."""

    elapsed_s: float
    market_ms: int
    opening: bool
    now: Reading
    before: Reading
    """Some time ago, for what happens in a second."""
    executions: Sequence[Mapping[str, Any]] = ()

    @property
    def ticks_a_second(self) -> float:
        """Of late."""
        return _a_second(self.now.ticks, self.before.ticks, self.now.at_s - self.before.at_s)

    @property
    def executions_a_second(self) -> float:
        """Of late."""
        return _a_second(self.now.executions, self.before.executions, self.now.at_s - self.before.at_s)


def _a_second(now: int, before: int, seconds: float) -> float:
    return (now - before) / seconds if seconds > 0 else 0.0


def market_time(ts_ms: int) -> str:
    """A moment of the market, in words."""
    return f"{datetime.fromtimestamp(ts_ms / 1_000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def screen(moment: Moment) -> RenderableType:
    """The whole picture."""
    opening = "  [bold yellow]the market opens[/]" if moment.opening else ""
    head = Text.from_markup(f"[bold]Tickgate[/]  {market_time(moment.market_ms)}  {moment.elapsed_s:.0f} s{opening}")
    tail = Text("Ctrl-C ends it, and audits what came out.", style="dim")
    sides = Columns([flow(moment), shards(moment.now.shards)], padding=(0, 1))
    return Group(head, sides, executions(moment.executions), tail)


def flow(moment: Moment) -> Panel:
    """The counts."""
    now = moment.now
    table = Table.grid(padding=(0, 2))
    table.add_column()
    for _ in range(2):
        table.add_column(justify="right")
    table.add_row("ticks", f"{now.ticks:,}", f"{moment.ticks_a_second:,.0f}/s")
    table.add_row("executions", f"{now.executions:,}", f"{moment.executions_a_second:,.0f}/s")
    table.add_row("pairs fired", f"{now.fired:,}", "")
    table.add_row("pairs skipped", f"{now.bucket_dup + now.late:,}", f"{now.skip_ratio:.1%}")
    table.add_row("ticks that move no price", f"{now.irrelevant:,}", f"{now.irrelevant_ratio:.1%}")
    table.add_row("lag", f"{now.lag:,}", "")
    return Panel(table, title="flow", expand=False)


def shards(found: Iterable[Shard]) -> Panel:
    """Where each shard stands."""
    table = Table(box=None, pad_edge=False)
    for name in ("shard", "state", "position", "lag"):
        table.add_column(name, justify="left" if name == "state" else "right")
    for shard in found:
        state = Text(shard.state, style="green" if shard.moving else "bold red")
        table.add_row(str(shard.partition), state, f"{shard.position:,}", f"{shard.lag:,}")
        if shard.reason:
            table.add_row("", Text(shard.reason, style="red"), "", "")
    return Panel(table, title="shards", expand=False)


def executions(last: Iterable[Mapping[str, Any]]) -> Panel:
    """The newest executions, the last one at the bottom."""
    table = Table(box=None, pad_edge=False)
    for name in ("strategy", "timeframe", "bucket", "mode"):
        table.add_column(name, no_wrap=True)
    table.add_column("tickers", overflow="ellipsis", no_wrap=True, ratio=1)
    for each in last:
        bucket = market_time(each["bucket_ms"]).partition(" ")[2].removesuffix(" UTC")
        table.add_row(each["strategy_id"], each["timeframe"], bucket, each["mode"], tickers_of(each))
    return Panel(table, title="executions")


def tickers_of(execution: Mapping[str, Any]) -> str:
    """The tickers to run, shortened."""
    tickers: list[str] = execution["tickers"]
    if execution["scope"] == "universe":
        return "its whole universe"
    more = len(tickers) - TICKERS_SHOWN
    return " ".join(tickers[:TICKERS_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def line(moment: Moment) -> str:
    """The same as one line, for where there is no terminal."""
    now = moment.now
    moving = sum(shard.moving for shard in now.shards)
    return (
        f"{moment.elapsed_s:4.0f} s  {now.ticks:,} ticks ({moment.ticks_a_second:,.0f}/s)"
        f"  {now.executions:,} executions"
        f"  {now.fired:,} pairs fired, {now.skip_ratio:.1%} skipped  lag {now.lag:,}"
        f"  {moving} of {len(now.shards)} shards moving"
    )
