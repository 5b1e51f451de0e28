"""What `tickgate replay --speed` does behind the replay: sends what fired onto topics of its own, at its own pace."""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import click

from streams.commands.feed import fail_if_lost, stop_signal
from streams.commands.plainly import STOPPED, settings, told_plainly
from streams.commands.strategies import schemas_of
from streams.errors import InputError
from streams.times import shown_time


class Asked(NamedTuple):
    """As it was typed, and checked."""

    speed: float | None
    onto: str | None


def asked_for(speed: str | None, onto: str | None, *, variants: bool) -> Asked | None:
    """What the options ask for; None where nothing is to be sent. Refuses before anything is read."""
    if speed is None:
        if onto is not None:
            raise InputError("--onto", "says where, and not how fast", "say --speed too: 1x, 10x, or max")
        return None
    if variants:
        remedy = "replay one variant alone, by a strategy file"
        raise InputError("--speed", "is for one run, and --what-if makes several", remedy)
    from streams.recorded.paced import read_speed, refuse_live_names  # brings what speaks to a broker

    if onto is not None:
        refuse_live_names(settings(), onto)
    return Asked(read_speed(speed), onto)


def send(out: Path, asked: Asked | None) -> None:
    """Send a result that is whole, where that is asked for."""
    if asked is None:
        return
    from streams.feeds.sender import Outlet
    from streams.kafka.codec import Encoder
    from streams.kafka.schema_source import registry_told
    from streams.kafka.security import for_confluent
    from streams.recorded.paced import Pace, make_topic, refuse_live_names, send_paced
    from streams.replay.moments import moments
    from streams.replay.result_folder import open_result

    stop = stop_signal()
    with told_plainly():
        current, result = settings(), open_result(str(out))
        digest = result.manifest["result"]["sha256"][:12]
        run_id = f"replay-{digest}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
        prefix = asked.onto or f"replay-{digest}."
        refuse_live_names(current, prefix)
        schemas = schemas_of(current, may_register=True)
        with registry_told():
            topic, encoder = make_topic(current, prefix, schemas), Encoder(schemas, ["execution"])
        outlet = Outlet(current.broker, topic, for_confluent(current))
        outlet.connect()
        click.echo(f"run {run_id} goes onto {topic}; Ctrl-C ends it", err=True)
        pace = Pace(asked.speed, stop.wait, time.monotonic)
        sent = send_paced(moments(result, run_id), lambda each: encoder.encode("execution", each), outlet, pace)
    told = {"run": run_id, "topic": topic, "executions": sent.executions, "not_delivered": sent.not_delivered}
    click.echo(json.dumps({**told, "seconds": sent.seconds}))
    fail_if_lost(sent.not_delivered, f"{sent.executions} executions", sent.problem)
    if sent.stopped:
        upto = "none" if sent.last_ms is None else f"{sent.executions}, up to {shown_time(sent.last_ms)}"
        click.echo(f"stopped: of the executions {upto} are on {topic}; the result in {out} is whole", err=True)
        sys.exit(STOPPED)
