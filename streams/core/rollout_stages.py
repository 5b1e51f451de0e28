"""The stages of a roll-out, and which flags make each.

*Staging*: every strategy is throttled as of old, and the other throttle is only counted. *Canary*: some per cent are
throttled per ticker, and those of a smaller percentage are among them. *Fleet*: all are. Where none of it is set, each
worker's own setting is in force, and there is no stage.

A flag is set by one record, a stage by two at most. In between, a strategy stands as it did before or as it does after.
"""

from typing import Final, NamedTuple

from streams.core.flags import PER_TICKER_THROTTLE, Control, Flag, Flags, Scope


class Stage(NamedTuple):
    """How far a roll-out has come."""

    name: str
    percentage: float

    def __str__(self) -> str:
        """For people."""
        return self.name if self.percentage in {0.0, 100.0} else f"{self.name} {self.percentage:g} %"


STAGING: Final = Stage("staging", 0.0)
FLEET: Final = Stage("fleet", 100.0)
PERCENTAGES: Final = (5.0, 25.0, 50.0)


def canary(percentage: float) -> Stage:
    """With so many per cent; those of none and of all have names of their own."""
    if not 0 <= percentage <= FLEET.percentage:
        raise ValueError(f"{percentage:g} is no percentage; write one from 0 to 100")
    return STAGING if percentage == 0 else FLEET if percentage == FLEET.percentage else Stage("canary", percentage)


def stage_of(flags: Flags) -> Stage | None:
    """The stage that flags make; None where they make none."""
    flag = flags.by_name.get(PER_TICKER_THROTTLE, Flag())
    if flag.everywhere is None:
        return None
    if flag.share is None or flag.share.value == flag.everywhere:
        return FLEET if flag.everywhere else STAGING
    percentage = flag.share.percentage
    return canary(percentage if flag.share.value else FLEET.percentage - percentage)


def following(stage: Stage) -> Stage:
    """The next one."""
    return canary(next((each for each in PERCENTAGES if each > stage.percentage), FLEET.percentage))


def preceding(stage: Stage) -> Stage:
    """The one before."""
    return canary(next((each for each in reversed(PERCENTAGES) if each < stage.percentage), 0.0))


def controls_for(stage: Stage) -> list[Control]:
    """What to set, in order."""
    everywhere = Control(PER_TICKER_THROTTLE, stage == FLEET)
    if stage in {STAGING, FLEET}:
        return [everywhere, Control(PER_TICKER_THROTTLE, None, Scope.PERCENTAGE)]
    return [Control(PER_TICKER_THROTTLE, True, Scope.PERCENTAGE, percentage=stage.percentage), everywhere]  # noqa: FBT003 - the flag's own kind
