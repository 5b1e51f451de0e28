"""`tickgate rollout status`: what the shadows of all workers have counted, and what speaks against going on."""

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from streams.commands.plainly import settings, told_plainly
from streams.core.rollout import Bounds, Refusal, Report, Seen, alerts, judge, throttles, together
from streams.errors import InputError
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.views.everywhere import Gathered

DEFAULTS: Final = Bounds()
REFUSED: Final = 1
"""The exit code where it may not go on."""

WORKER: Final = click.option(
    "--worker", default="", metavar="URL", help="Any worker. Default: where one of these settings is served."
)
BOUNDS: Final = (
    click.option("--most-missed", default=DEFAULTS.most_missed, show_default=True, type=click.IntRange(0)),
    click.option("--least-saved", default=DEFAULTS.least_saved, show_default=True, type=click.FloatRange(max=1)),
    click.option("--most-saved", default=DEFAULTS.most_saved, show_default=True, type=click.FloatRange(max=1)),
    click.option("--most-unjudged", default=DEFAULTS.most_unjudged, show_default=True, type=click.FloatRange(0, 1)),
    click.option("--least-alerts", default=DEFAULTS.least_alerts, show_default=True, type=click.IntRange(0)),
    click.option("--least-hours", default=DEFAULTS.least_hours, show_default=True, type=click.FloatRange(0)),
)


class Look(NamedTuple):
    """What was found, and what speaks against going on."""

    seen: Seen
    silent: dict[int, str]
    refusals: Sequence[Refusal]


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say whom to ask, and within which bounds."""
    for option in (*reversed(BOUNDS), WORKER):
        command = option(command)
    return command


@click.group()
def rollout() -> None:
    """Roll the throttle per ticker out, or back, and see what it would do."""


@rollout.command()
@guarded
@click.option("--strategy", default="", metavar="ID", help="Of this strategy alone.")
@click.option("--json", "as_json", is_flag=True, help="All figures, in one line of JSON.")
@click.option("--check", is_flag=True, help="End with 1 where it may not be rolled out any further.")
def status(*, worker: str, strategy: str, as_json: bool, check: bool, **bounds: Any) -> None:  # noqa: ANN401 - options
    """Say what both throttles made of the same ticks, and what speaks against going on."""
    with told_plainly():
        found = look(settings(), worker, Bounds(**bounds), strategy)
    click.echo(json.dumps(as_told(found)) if as_json else "\n".join(lines(found)))
    if check and found.refusals:
        sys.exit(REFUSED)


def look(current: Settings, worker: str, bounds: Bounds, strategy_id: str = "") -> Look:
    """Ask a worker for all, and judge; raises `InputError`."""
    url = worker.rstrip("/") or current.advertised_url or f"http://{current.web_host}:{current.web_port}"
    found, partitions = asyncio.run(ask(url, strategy_id))
    seen = together(found.shards.values(), partitions)
    return Look(seen, found.silent, judge(seen, bounds))


async def ask(url: str, strategy_id: str) -> "tuple[Gathered[Report], int]":
    """What a worker tells of all, and how many shards there are; raises `InputError`."""
    from streams.views.owner import Owner
    from streams.views.rollout import address, read_answer

    async with Owner() as owner:
        got = await owner.get(url, address(url, strategy_id), {})
    body = json.loads(got.body)
    try:
        return read_answer(body), int(body["partitions"])
    except (KeyError, ValueError) as error:
        raise InputError(url, str(error), "name a worker that runs by --worker, such as http://HOST:6066") from error


def as_told(found: Look) -> dict[str, Any]:
    """All figures."""
    seen = found.seen
    told: dict[str, Any] = {each.name: each._asdict() for each in throttles(seen.counts)}
    told |= {"skip_ratio": {"old": round(seen.old_skip_ratio, 6), "new": round(seen.new_skip_ratio, 6)}}
    told |= {"saved_ratio": round(seen.saved_ratio, 6), "alerts": alerts(seen.counts), "missed": dict(seen.missed)}
    told |= {"strategies": seen.strategies, "ticks": seen.ticks, "observed_ms": seen.observed_ms}
    refusals = [each.why for each in found.refusals]
    return {**told, "silent": list(seen.silent), "may_advance": not refusals, "refusals": refusals}


def lines(look: Look) -> list[str]:
    """The same for the eye."""
    seen = look.seen
    old, new = throttles(seen.counts)
    found = [f"{seen.strategies} strategies compared over {seen.ticks} ticks, {seen.observed_ms / 3_600_000:.2f} hours"]
    found += [f"shard {partition}: {why}" for partition, why in sorted(look.silent.items())]
    for each, skipped in ((old, seen.old_skip_ratio), (new, seen.new_skip_ratio)):
        skips = ", ".join(f"{reason} {count}" for reason, count in each.skips.items())
        found.append(f"{each.name}: {each.runs} runs of {each.tickers} tickers; skipped {skipped:.2%}: {skips}")
    found.append(f"tickers not run, as they had no update: {seen.saved_ratio:.1%}")
    found.append("alerts: " + ", ".join(f"{by} {count}" for by, count in alerts(seen.counts).items()))
    found += [f"missed by {strategy_id}: {count}" for strategy_id, count in seen.missed.items()]
    return [*found, *(against(look.refusals) or ["may advance"])]


def against(refusals: Sequence[Refusal]) -> list[str]:
    """What speaks against going on, a line each."""
    return [f"may not advance: {each.why}" for each in refusals]
