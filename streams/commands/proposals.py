"""`tickgate proposals`: triggers of `alert-results` that convince become proposals."""

import asyncio
import json
from pathlib import Path

import click

from streams.commands.plainly import settings, told_plainly


@click.group()
def proposals() -> None:
    """Make proposals of what strategies found."""


@proposals.command()
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path),
    default=Path("policy.yaml"),
    show_default=True,
    help="How much conviction a trigger needs, and whether that moves; read again while it runs.",
)
@click.option("--drain", is_flag=True, help="Take the results there are now, print one JSON line, and end.")
def run(*, path: Path, drain: bool) -> None:
    """Make proposals, each once, until told to stop. Of several that run, one works and the others stand by."""
    from streams.logs import set_up_logging
    from streams.process import keep_memory_small
    from streams.trader.running import run as run_on

    with told_plainly():
        current = settings()
        keep_memory_small()
        set_up_logging(current.log_level)
        done = asyncio.run(run_on(current, path, drain=drain))
    click.echo(json.dumps(done))
