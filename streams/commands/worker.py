"""`tickgate worker`: takes ticks, and sends executions out."""

import click

from streams.commands.plainly import settings, told_plainly


@click.command()
@click.option("--drain", is_flag=True, help="Work up to the ends found at the start, print one JSON line, and end.")
def worker(*, drain: bool) -> None:
    """Take ticks, and send executions out, until told to stop."""
    from streams.process import end
    from streams.worker import run_worker

    with told_plainly():
        code = run_worker(settings(), drain=drain)
    end(code)
