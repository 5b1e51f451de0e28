"""The stages of a roll-out, and which flags make each.

*Staging*: every strategy is throttled as of old, and the other throttle is only counted. *Canary*: some per cent are
throttled per ticker, and those of a smaller percentage are among them. *Fleet*: all are. Where none of it is set, each
worker's own setting is in force, and there is no stage.

A flag is set by one record, a stage by two at most. In between, a strategy stands as it did before or as it does after.
"""

from typing import Final, NamedTuple


class Stage(NamedTuple):
    """How far a roll-out has come."""

    name: str
    percentage: float

    def __str__(self) -> str:
        """For people."""
        return self.name if self.percentage in {0.0, 100.0} else f"{self.name} {self.percentage:g} %"


class Setting(NamedTuple):
    """One flag for all, or for some per cent, to be set; without a value, set no more."""

    value: bool | None
    percentage: float | None = None


STAGING: Final = Stage("staging", 0.0)
FLEET: Final = Stage("fleet", 100.0)
PERCENTAGES: Final = (5.0, 25.0, 50.0)


def canary(percentage: float) -> Stage:
    """With so many per cent; those of none and of all have names of their own."""
    if not 0 <= percentage <= FLEET.percentage:
        raise ValueError(f"{percentage:g} is no percentage; write one from 0 to 100")
    return STAGING if percentage == 0 else FLEET if percentage == FLEET.percentage else Stage("canary", percentage)


def stage_of(everywhere: bool | None, share: Setting | None) -> Stage | None:  # noqa: FBT001 - it is the flag's own kind
    """The stage that flags make; None where they make none."""
    if everywhere is None:
        return None
    if share is None or share.value == everywhere or share.percentage is None:
        return FLEET if everywhere else STAGING
    return canary(share.percentage if share.value else FLEET.percentage - share.percentage)


def following(stage: Stage) -> Stage:
    """The next one."""
    return canary(next((each for each in PERCENTAGES if each > stage.percentage), FLEET.percentage))


def preceding(stage: Stage) -> Stage:
    """The one before."""
    return canary(next((each for each in reversed(PERCENTAGES) if each < stage.percentage), 0.0))


def settings_for(stage: Stage) -> list[Setting]:
    """What to set, in order."""
    if stage == FLEET:
        return [Setting(value=True), Setting(value=None, percentage=0.0)]
    if stage == STAGING:
        return [Setting(value=False), Setting(value=None, percentage=0.0)]
    return [Setting(value=True, percentage=stage.percentage), Setting(value=False)]
