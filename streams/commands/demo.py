"""`tickgate demo`: a made-up market, a worker, and its executions live on the terminal."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from streams.commands.plainly import told_plainly

if TYPE_CHECKING:
    from streams.demo.run import Show, Summary

START_MS = 1_772_461_800_000
"""2026-03-02, 14:30 UTC: New York opens."""

LONGEST_S = 86_400.0
UNSEEN_S = 20.0
"""How long it runs where nobody sits in front of it to end it."""


@click.command()
@click.option("--seconds", type=click.FloatRange(1, LONGEST_S), help="How long. Default: on a terminal until Ctrl-C.")
@click.option("--rate", default=3_000.0, show_default=True, type=click.FloatRange(1, 100_000), help="Ticks a second.")
@click.option("--tickers", default=2_000, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--strategies", default=300, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--seed", default=7, show_default=True, type=click.IntRange(0), help="The same seed, the same market.")
@click.option(
    "--speed",
    default=20.0,
    show_default=True,
    type=click.FloatRange(0.1, 1_000),
    help="Seconds of the market that pass in one second.",
)
def demo(*, seconds: float | None, rate: float, tickers: int, strategies: int, seed: int, speed: float) -> None:
    """Run a made-up market through a worker, show what fires, and audit it. Needs nothing but this program."""
    from streams.demo.run import demonstrate
    from streams.feeds.synthetic import Plan

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    lasts_s = seconds or (LONGEST_S if sys.stdout.isatty() else UNSEEN_S)
    plan = Plan(START_MS, rate, lasts_s, tickers, seed, speed)
    with told_plainly():
        with shown() as show:
            summary = demonstrate(plan, strategies, show, stop.is_set)
        if summary is not None:
            click.echo(told(summary))
    if summary is not None and not summary.passed:
        sys.exit(1)


@contextmanager
def shown() -> Iterator["Show"]:
    """The terminal, or plain lines where there is none."""
    from streams.demo.shows import LiveShow, PlainShow

    if not sys.stdout.isatty():
        yield PlainShow(click.echo)
        return
    with LiveShow() as show:
        yield show


def told(summary: "Summary") -> str:
    """The last words."""
    reading = summary.reading
    lines = [
        f"ticks         {summary.ticks:,} in {summary.seconds:,.1f} s; {summary.not_delivered:,} not delivered",
        f"fired pairs   {summary.fired_pairs:,}",
        f"executions    {summary.executions:,}",
        f"skipped       {reading.skip_ratio:.1%} of the pairs that ticks met",
        f"              {reading.irrelevant_ratio:.1%} of the ticks, as they must not move the price",
        f"audit         {summary.audit}",
    ]
    if summary.worker_exit:
        lines.append(f"the worker ended with {summary.worker_exit}")
    return "\n".join(lines)
