"""`tickgate rollout`: what the shadows of all workers have counted, and whether the new throttle may be rolled out."""

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import click

from streams.commands.plainly import settings, told_plainly
from streams.core.rollout import Bounds, Seen, alerts, judge, throttles, together
from streams.errors import InputError

if TYPE_CHECKING:
    from streams.views.rollout import Gathered

DEFAULTS = Bounds()
REFUSED = 1
"""The exit code of `--check` where it may not go on."""


@click.group()
def rollout() -> None:
    """Compare the throttle of old with the one per ticker."""


@rollout.command()
@click.option("--worker", default="", metavar="URL", help="Any worker. Default: where this machine's is served.")
@click.option("--strategy", default="", metavar="ID", help="Of this strategy alone.")
@click.option("--json", "as_json", is_flag=True, help="All figures, in one line of JSON.")
@click.option("--check", is_flag=True, help="End with 1 where it may not be rolled out any further.")
@click.option("--most-missed", default=DEFAULTS.most_missed, show_default=True, type=click.IntRange(0))
@click.option("--least-saved", default=DEFAULTS.least_saved, show_default=True, type=click.FloatRange(-1e9, 1))
@click.option("--most-saved", default=DEFAULTS.most_saved, show_default=True, type=click.FloatRange(0, 1))
@click.option("--most-unjudged", default=DEFAULTS.most_unjudged, show_default=True, type=click.FloatRange(0, 1))
@click.option("--least-alerts", default=DEFAULTS.least_alerts, show_default=True, type=click.IntRange(0))
@click.option("--least-hours", default=DEFAULTS.least_hours, show_default=True, type=click.FloatRange(0))
def status(*, worker: str, strategy: str, as_json: bool, check: bool, **bounds: Any) -> None:  # noqa: ANN401 - options
    """Say what both throttles made of the same ticks, and what speaks against going on."""
    with told_plainly():
        current = settings()
        url = worker.rstrip("/") or current.advertised_url or f"http://{current.web_host}:{current.web_port}"
        found, partitions = asyncio.run(ask(url, strategy))
    seen = together(found.reports, partitions)
    refusals = [each.why for each in judge(seen, Bounds(**bounds))]
    click.echo(json.dumps(as_told(seen, refusals)) if as_json else "\n".join(lines(seen, found.silent, refusals)))
    if check and refusals:
        sys.exit(REFUSED)


async def ask(url: str, strategy_id: str) -> "tuple[Gathered, int]":
    """What a worker tells of all, and how many shards there are; raises `InputError`."""
    from streams.views.owner import Owner
    from streams.views.rollout import address, read_answer

    async with Owner() as owner:
        got = await owner.get(url, address(url, strategy_id), {})
    body = json.loads(got.body)
    try:
        return read_answer(body), int(body["partitions"])
    except (KeyError, ValueError) as error:
        problem = body.get("problem", error) if isinstance(body, dict) else error
        raise InputError(url, str(problem), "name a worker that runs by --worker, such as http://HOST:6066") from error


def as_told(seen: Seen, refusals: list[str]) -> dict[str, Any]:
    """All figures."""
    told: dict[str, Any] = {each.name: each._asdict() for each in throttles(seen.counts)}
    told |= {"skip_ratio": {"old": round(seen.old_skip_ratio, 6), "new": round(seen.new_skip_ratio, 6)}}
    told |= {"saved_ratio": round(seen.saved_ratio, 6), "alerts": alerts(seen.counts), "missed": dict(seen.missed)}
    told |= {"strategies": seen.strategies, "ticks": seen.ticks, "observed_ms": seen.observed_ms}
    return {**told, "silent": list(seen.silent), "may_advance": not refusals, "refusals": refusals}


def lines(seen: Seen, silent: dict[int, str], refusals: list[str]) -> list[str]:
    """The same for the eye."""
    old, new = throttles(seen.counts)
    found = [f"{seen.strategies} strategies compared over {seen.ticks} ticks, {seen.observed_ms / 3_600_000:.2f} hours"]
    found += [f"shard {partition}: {why}" for partition, why in sorted(silent.items())]
    for each, skipped in ((old, seen.old_skip_ratio), (new, seen.new_skip_ratio)):
        skips = ", ".join(f"{reason} {count}" for reason, count in each.skips.items())
        found.append(f"{each.name}: {each.runs} runs of {each.tickers} tickers; skipped {skipped:.2%}: {skips}")
    found.append(f"tickers not run, as they had no update: {seen.saved_ratio:.1%}")
    found.append("alerts: " + ", ".join(f"{by} {count}" for by, count in alerts(seen.counts).items()))
    found += [f"missed by {strategy_id}: {count}" for strategy_id, count in seen.missed.items()]
    return [*found, *(f"may not advance: {each}" for each in refusals)] if refusals else [*found, "may advance"]
