"""`tickgate record`: a range of topics into files; and what `tickgate replay` needs to decide a day as it was."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from streams.commands.plainly import settings, told_if_stopped, told_plainly
from streams.errors import InputError, shortened
from streams.times import read_time

if TYPE_CHECKING:
    from streams.kafka.topic_spans import Asked, Span
    from streams.recorded.source import Day, TopicDay
    from streams.replay.run import Replayed

KAFKA = "kafka:"
"""What `--ticks` begins with where it names a topic."""


@click.command()
@click.option("--from", "from_", help="From this time on; not said: from the first tick that is there.")
@click.option("--to", help="Up to this time; not said: up to what is committed by now.")
@click.option("--offsets", multiple=True, help="PARTITION=FIRST:END, repeatable, in place of times.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A folder that is not there yet.")
@click.option("--progress/--no-progress", default=None, help="Default: where there is a terminal.")
def record(*, from_: str | None, to: str | None, offsets: tuple[str, ...], out: Path, progress: bool | None) -> None:
    """Record ticks by day, and next to them the strategies and flags that they were decided by."""
    from streams.commands.replay import shown_progress
    from streams.recorded.record import record as run

    with told_plainly(), told_if_stopped(f"nothing was recorded in {out}"), shown_progress(progress) as advance:
        began = time.monotonic()
        done = run(open_range(f"{KAFKA}//", Which(from_, to, offsets)), out, advance)
        seconds = time.monotonic() - began
    for warning in done.warnings:
        click.echo(f"warning: {warning}", err=True)
    if done.rejected:
        click.echo(f"warning: {done.rejected} records are no ticks; see {out / 'rejected.jsonl'}", err=True)
    click.echo(
        json.dumps({"ticks": done.ticks, "seconds": round(seconds, 3), "days": done.days, "rejected": done.rejected})
    )


class Which(NamedTuple):
    """Which part of a topic, as it was typed."""

    from_: str | None
    to: str | None
    offsets: Sequence[str]
    from_changelogs: bool = False
    """Whether it begins with what these hold."""

    @property
    def anything(self) -> bool:
        """Whether there is something to tell."""
        return bool(self.from_ or self.to or self.offsets or self.from_changelogs)


def day_of(ticks: Sequence[str], which: Which, batch_ticks: int, *, with_strategies: bool) -> "Day | None":
    """The day that is to be decided as it was; None where `--ticks` are files like any others."""
    of_topic = [each for each in ticks if each.startswith(KAFKA)]
    if of_topic and len(ticks) > 1:
        raise InputError(
            f"--ticks {of_topic[0]}", "stands beside others", "record it, and name the folder in its place"
        )
    if of_topic:
        return open_range(of_topic[0], which)
    if which.anything:
        options = "--from, --to, --offsets, --warm-up-from"
        raise InputError(options, "are for topics alone", f"say --ticks {KAFKA}//, or leave them out")
    if with_strategies:
        return None
    from streams.recorded.recording import Recording, is_recording  # of no use above, and heavy
    from streams.reference_data import load_conditions

    if len(ticks) == 1 and is_recording(Path(ticks[0])):
        return Recording(Path(ticks[0]), load_conditions(settings().conditions), batch_ticks)
    raise InputError("--strategies", "is missing", "name a strategy file; recordings and topics alone bring their own")


def replay_as_it_was(
    day: "Day",
    strategies: Path | None,
    out: Path,
    warm_up_until: str | None,
    advance: Callable[[int, int | None], None],
    *,
    report: bool,
) -> "Replayed":
    """Decide a day by what it was decided by, or by the strategies of a file."""
    from streams.core.events import Mode
    from streams.core.limits import NEVER
    from streams.recorded.beside import of_strategies
    from streams.recorded.replay import How, replay_day
    from streams.strategy_file import read_strategies

    warm_until_ms = read_time(warm_up_until, "--warm-up-until") if warm_up_until else NEVER
    if strategies is None:
        return replay_day(day, out, How(None, warm_until_ms, report), advance)
    read = read_strategies(strategies)
    default = Mode.PER_TICKER if settings().per_ticker_throttle else Mode.LEGACY
    how = How(of_strategies(read.strategies, default), warm_until_ms, report, read.warnings)
    return replay_day(day, out, how, advance)


def open_range(url: str, which: Which) -> "TopicDay":
    """A range of the topics of this environment; the URL may name another broker."""
    from streams.recorded.source import open_topics

    broker = url.removeprefix(KAFKA).strip("/")
    if "/" in broker:
        remedy = f"say {KAFKA}// or {KAFKA}//HOST:PORT; TICKGATE_TOPIC_PREFIX names the environment"
        raise InputError(f"--ticks {url}", "names more than a broker", remedy)
    current = settings()
    there = replace(current, broker=broker) if broker else current
    return open_topics(there, asked_of(which), from_changelogs=which.from_changelogs)


def asked_of(which: Which) -> "Asked":
    """What was typed, checked."""
    from streams.kafka.topic_spans import Asked

    if which.offsets and (which.from_ or which.to):
        raise InputError("--offsets", "stand beside times", "choose by times, or by offsets")
    from_ms = read_time(which.from_, "--from") if which.from_ else None
    to_ms = read_time(which.to, "--to") if which.to else None
    if from_ms is not None and to_ms is not None and to_ms <= from_ms:
        raise InputError("--to", f"{which.to} is not later than {which.from_}", "take a later one")
    return Asked(from_ms, to_ms, dict(map(_span_of, which.offsets)))


def _span_of(text: str) -> "tuple[int, Span]":
    from streams.kafka.topic_spans import Span

    partition, is_told, span = text.partition("=")
    first, _, end = span.partition(":")
    numbers = [partition, first, end]
    if not is_told or not all(each.isascii() and each.isdecimal() for each in numbers) or int(first) > int(end):
        raise InputError("--offsets", f"{shortened(text)} is no span", "write PARTITION=FIRST:END, such as 0=100:200")
    return int(partition), Span(int(first), int(end))


def refuse_what_topics_cannot(*, what_if: bool, order: str) -> None:
    """Say what a day as it was does not go with."""
    if what_if:
        remedy = "record it, and replay the folder with --strategies FOLDER/strategies.jsonl"
        raise InputError("--what-if", "is for strategies that stay as they are", remedy)
    if order != "strict":
        raise InputError("--order", "is for files", "leave it out: topics come by time, then partition, then offset")


def refuse_strategies_of_another_state(which: Which, ticks: Sequence[str], strategies: Path | None) -> None:
    """The state in the changelogs is that of the strategies that stood."""
    if which.from_changelogs and strategies is not None and any(each.startswith(KAFKA) for each in ticks):
        remedy = "leave one of the two out; with a file, --warm-up-until warms up from ticks"
        raise InputError("--strategies", "stands beside --warm-up-from changelogs", remedy)


def refuse_what_files_cannot(*, warm_up: bool) -> None:
    """Say what is for topics and recordings alone."""
    if warm_up:
        raise InputError(
            "--warm-up-until", "is for topics and recordings", "leave it out, and choose by ts in the result"
        )


def refuse_topic(out: Path) -> None:
    """A replay has nothing to say to those who listen to a live topic."""
    if str(out).startswith(KAFKA):
        raise InputError(f"--out {out}", "a replay writes files alone, and to no topic", "name a folder")
