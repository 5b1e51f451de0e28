"""`tickgate rollout advance`, `back`, `watch`: from stage to stage, by the flag that `tickgate flags` sets."""

import sys
import time
from typing import TYPE_CHECKING, Any, Final

import click

from streams.commands.plainly import settings, told_plainly
from streams.commands.rollout import REFUSED, against, guarded, look
from streams.commands.strategies import schemas_of
from streams.core.rollout import Bounds
from streams.core.rollout_stages import FLEET, STAGING, Stage, canary, following, preceding
from streams.errors import InputError
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.kafka.rollout_flags import RolloutFlags

NO_STAGE: Final = "no stage: the setting of each worker is in force"
MOST_TIMES: Final = 1 << 40
"""For good, as good as."""

PERCENTAGE: Final = click.option("--percentage", type=float, help="A canary of so many per cent. Default: a step.")
REASON: Final = click.option("--reason", default="", help="Why, for those who read the history.")


@click.command()
@guarded
@PERCENTAGE
@REASON
@click.option("--force", is_flag=True, help="Whatever speaks against it.")
def advance(*, worker: str, percentage: float | None, reason: str, force: bool, **bounds: Any) -> None:  # noqa: ANN401 - options
    """Go on: from staging to a canary, to a larger one, to the fleet. Refused while anything speaks against it."""
    with told_plainly():
        current = settings()
        found = look(current, worker, Bounds(**bounds))
        flags = _flags(current, may_register=True)
        stage = _standing(flags)
        wanted = following(stage) if percentage is None else _canary(percentage)
        if wanted.percentage <= stage.percentage and stage != FLEET:
            raise InputError("--percentage", f"{wanted} is no further than {stage}", "name more, or go back")
        if found.refusals and not force:
            click.echo("\n".join(against(found.refusals)), err=True)
            sys.exit(REFUSED)
        _go(flags, stage, wanted, reason)


@click.command()
@PERCENTAGE
@REASON
@click.option("--all", "whole_way", is_flag=True, help="The whole way, to staging.")
def back(*, percentage: float | None, reason: str, whole_way: bool) -> None:
    """Go back a step, or the whole way. From where no stage is set, this begins a roll-out: with staging."""
    with told_plainly():
        flags = _flags(settings(), may_register=True)
        stage = flags.stage()
        if percentage is not None and (stage is None or _canary(percentage).percentage > stage.percentage):
            raise InputError("--percentage", f"it does not lie before {stage or NO_STAGE}", "name less, or advance")
        wanted = STAGING if whole_way or stage is None else preceding(stage)
        _go(flags, stage, wanted if percentage is None else _canary(percentage), reason)


@click.command()
@guarded
@click.option("--every-s", default=60.0, show_default=True, type=click.FloatRange(0.1, 86_400), help="Between two.")
@click.option("--count", default=MOST_TIMES, type=click.IntRange(1, MOST_TIMES), help="How often. Default: for good.")
@click.option("--back-on-refusal", is_flag=True, help="Go back to staging when alerts are missed or ratios are wrong.")
def watch(*, worker: str, every_s: float, count: int, back_on_refusal: bool, **bounds: Any) -> None:  # noqa: ANN401 - options
    """Look again and again; end with 1 when what is seen is no mere question of time, and go back if asked to."""
    with told_plainly():
        current = settings()
        flags = _flags(current, may_register=back_on_refusal)
        for times in range(count):
            if times:
                time.sleep(every_s)
            try:
                found = look(current, worker, Bounds(**bounds))
            except InputError as error:  # a worker that is away for a while ends no watch
                click.echo(f"error: {error}", err=True)
                continue
            grave = [each for each in found.refusals if each.is_grave]
            stage = flags.stage()
            click.echo(f"{stage or NO_STAGE}; {found.seen.alerts} alerts seen, {len(found.refusals)} things against it")
            if grave:
                click.echo("\n".join(against(grave)), err=True)
                if back_on_refusal and stage != STAGING:
                    _go(flags, stage, STAGING, grave[0].why)
                sys.exit(REFUSED)


def _flags(current: Settings, *, may_register: bool) -> "RolloutFlags":
    """The flags of this environment."""
    from streams.kafka.rollout_flags import RolloutFlags
    from streams.kafka.security import for_confluent

    schemas = schemas_of(current, may_register=may_register)
    return RolloutFlags(current.broker, current.topics.controls, schemas, for_confluent(current))


def _standing(flags: "RolloutFlags") -> Stage:
    """The stage that is set."""
    stage = flags.stage()
    if stage is None:
        raise InputError("tickgate rollout", f"there is {NO_STAGE}", "begin with `tickgate rollout back`: to staging")
    return stage


def _canary(percentage: float) -> Stage:
    try:
        return canary(percentage)
    except ValueError as error:
        problem, _, remedy = str(error).partition("; ")
        raise InputError("--percentage", problem, remedy) from error


def _go(flags: "RolloutFlags", stage: Stage | None, wanted: Stage, reason: str) -> None:
    """Set a stage, and say so."""
    flags.go(wanted, time.time_ns() // 1_000_000, reason)
    click.echo(f"{stage or NO_STAGE} -> {wanted}")


COMMANDS: Final = (advance, back, watch)
