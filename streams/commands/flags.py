"""`tickgate flags`: switches that workers follow while they run."""

import time

import click

from streams.commands.plainly import settings, told_plainly
from streams.commands.strategies import schemas_of
from streams.core.flags import NAMES, Control, Scope
from streams.errors import InputError

VALUES = {"true": True, "false": False, "unset": None}


@click.group()
def flags() -> None:
    """Set flags for all strategies, for one, or for some per cent of them."""


@flags.command("set")
@click.argument("name", type=click.Choice(NAMES))
@click.argument("value", type=click.Choice([*VALUES]))
@click.option("--strategy", default="", help="For one strategy.")
@click.option("--percentage", type=click.FloatRange(0, 100), help="For so many per cent of the strategies.")
@click.option("--reason", default="", help="Why, for those who read the history.")
def set_(*, name: str, value: str, strategy: str, percentage: float | None, reason: str) -> None:
    """Set a flag; `unset` leaves it to the next scope: strategy, percentage, all, and then the worker's setting."""
    from streams.kafka.bad_values import BadValueError
    from streams.kafka.control_topic import in_words, write_control
    from streams.kafka.security import for_confluent

    with told_plainly():
        if strategy and percentage is not None:
            raise InputError("tickgate flags set", "it has two scopes", "say --strategy or --percentage, not both")
        scope = Scope.STRATEGY if strategy else Scope.ALL if percentage is None else Scope.PERCENTAGE
        control, current = Control(name, VALUES[value], scope, strategy, percentage or 0.0), settings()
        schemas, security = schemas_of(current, may_register=True), for_confluent(current)
        ts_ms = time.time_ns() // 1_000_000
        try:
            write_control(
                current.broker, current.topics.controls, schemas, control, ts_ms, reason=reason, security=security
            )
        except BadValueError as error:
            raise InputError(f"flag {name}", error.reason.detail, error.reason.remedy) from error
    click.echo(in_words(control))


@flags.command()
def show() -> None:
    """Say what is set. What is not is as each worker's setting has it."""
    from streams.kafka.control_topic import in_words, read_entries, standing
    from streams.kafka.security import for_confluent

    with told_plainly():
        current = settings()
        entries = read_entries(
            current.broker, current.topics.controls, schemas_of(current, may_register=False), for_confluent(current)
        )
    lines = [in_words(control) for control in standing(entries)]
    click.echo("\n".join(lines or ["no flag is set"]))


@flags.command()
def history() -> None:
    """Say what was set when, as far as it is kept, and from which event time strategies decided in another way."""
    from streams.core.turns import told
    from streams.kafka.control_topic import in_words, read_entries, read_turns
    from streams.kafka.security import for_confluent

    with told_plainly():
        current = settings()
        schemas, security = schemas_of(current, may_register=False), for_confluent(current)
        entries = read_entries(current.broker, current.topics.controls, schemas, security)
        turns = read_turns(current.broker, current.topics.turns, schemas, security)
    for each in entries:
        what = in_words(each.control) if isinstance(each.control, Control) else f"does not count: {each.control}"
        click.echo(f"{each.place}: at {each.ts_ms}: {what}{each.reason and f' ({each.reason})'}")
    for strategy_id, of_strategy in turns.items():
        click.echo(f"strategy {strategy_id}: {', '.join(told(of_strategy))}")
