"""Flags set while running: for all strategies, for some per cent of them, or for one. The most special scope counts.

A canary's strategies follow from their ids alone. So they are the same on every worker and in every run, and a larger
percentage has all those of a smaller one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import blake2b
from typing import Final, NamedTuple

from streams.core.events import Mode

PER_TICKER_THROTTLE: Final = "per_ticker_throttle"
UPDATE_TRACKING: Final = "use_symbol_update_tracking"
SHADOW: Final = "shadow"
NAMES: Final = (PER_TICKER_THROTTLE, UPDATE_TRACKING, SHADOW)
FOR_ALL: Final = (UPDATE_TRACKING, SHADOW)
"""What cannot be set for some strategies alone: a step tracks every ticker, and a shadow compares every strategy."""

HASH_BYTES: Final = 8
ALL_PERCENT: Final = 100.0


class Scope(StrEnum):
    """Whom a control is for."""

    ALL = "all"
    STRATEGY = "strategy"
    PERCENTAGE = "percentage"


class Control(NamedTuple):
    """One flag, set for a scope; without a value, set no more."""

    name: str
    value: bool | None
    scope: Scope = Scope.ALL
    target: str = ""
    """The strategy, where the scope is one."""
    percentage: float = 0.0


class Share(NamedTuple):
    """A value for some per cent of the strategies."""

    value: bool
    percentage: float


@dataclass(frozen=True, slots=True)
class Flag:
    """What one flag is set to."""

    everywhere: bool | None = None
    share: Share | None = None
    single: Mapping[str, bool] = field(default_factory=dict)
    """By strategy."""


@dataclass(frozen=True, slots=True)
class Flags:
    """Every flag, as controls have set it. What they say nothing of has the value that a worker starts with."""

    by_name: Mapping[str, Flag] = field(default_factory=dict)

    def with_control(self, control: Control) -> "Flags":
        """The flags after a control."""
        flag, value = self.by_name.get(control.name, Flag()), control.value
        match control.scope:
            case Scope.ALL:
                flag = replace(flag, everywhere=value)
            case Scope.PERCENTAGE:
                flag = replace(flag, share=None if value is None else Share(value, control.percentage))
            case Scope.STRATEGY:
                others = {target: set_to for target, set_to in flag.single.items() if target != control.target}
                flag = replace(flag, single=others if value is None else {**others, control.target: value})
        return Flags({**self.by_name, control.name: flag})

    def value(self, name: str, strategy_id: str, default: bool) -> bool:  # noqa: FBT001 - it is the flag's own kind
        """What a flag is for one strategy."""
        flag = self.by_name.get(name)
        if flag is None:
            return default
        if strategy_id in flag.single:
            return flag.single[strategy_id]
        if flag.share is not None and percent_of(strategy_id) < flag.share.percentage:
            return flag.share.value
        return default if flag.everywhere is None else flag.everywhere

    def everywhere(self, name: str, default: bool) -> bool:  # noqa: FBT001 - as above
        """What a flag is that knows no strategies."""
        flag = self.by_name.get(name, Flag())
        return default if flag.everywhere is None else flag.everywhere

    def mode(self, strategy_id: str, default: Mode) -> Mode:
        """The throttle of a strategy that asks for none."""
        per_ticker = self.value(PER_TICKER_THROTTLE, strategy_id, default is Mode.PER_TICKER)
        return Mode.PER_TICKER if per_ticker else Mode.LEGACY


NO_FLAGS: Final = Flags()


def percent_of(strategy_id: str) -> float:
    """Where a strategy stands among all, from 0 up to, not including, 100."""
    digest = blake2b(strategy_id.encode(), digest_size=HASH_BYTES).digest()
    return int.from_bytes(digest) / (1 << 8 * HASH_BYTES) * ALL_PERCENT
