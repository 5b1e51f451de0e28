"""Flags: the most special scope counts, and a canary is the same everywhere and only grows."""

from streams.core.events import Mode, Strategy, Tick
from streams.core.flags import (
    NO_FLAGS,
    PER_TICKER_THROTTLE,
    SHADOW,
    UPDATE_TRACKING,
    Control,
    Flags,
    Scope,
    percent_of,
)
from streams.core.shard import Shard
from tests.core.histories import CONDITIONS, fires_of_shard

ON, OFF = True, False
IDS = [f"s{number}" for number in range(2_000)]


def flags(*controls: Control) -> Flags:
    found = NO_FLAGS
    for control in controls:
        found = found.with_control(control)
    return found


def per_ticker(value: bool | None, scope: Scope = Scope.ALL, target: str = "", percentage: float = 0.0) -> Control:
    return Control(PER_TICKER_THROTTLE, value, scope, target, percentage)


def throttled(found: Flags, strategy_id: str, *, default: bool) -> bool:
    return found.value(PER_TICKER_THROTTLE, strategy_id, default)


def test_the_most_special_scope_counts_and_one_that_is_not_set_leaves_it_to_the_next() -> None:
    everywhere, some = per_ticker(ON), per_ticker(OFF, Scope.PERCENTAGE, percentage=100.0)
    one = per_ticker(ON, Scope.STRATEGY, "s1")
    assert throttled(flags(), "s1", default=False) is False
    assert throttled(flags(everywhere), "s1", default=False) is True
    assert throttled(flags(everywhere, some), "s1", default=True) is False
    assert throttled(flags(one, everywhere, some), "s1", default=False) is True
    assert throttled(flags(one, everywhere, some), "s2", default=True) is False
    unset = one._replace(value=None)
    assert throttled(flags(one, everywhere, some, unset), "s1", default=True) is False
    assert throttled(flags(everywhere, some, some._replace(value=None)), "s1", default=False) is True
    assert throttled(flags(everywhere, everywhere._replace(value=None)), "s1", default=False) is False


def test_a_larger_percentage_only_adds_strategies() -> None:
    before: set[str] = set()
    for percentage in (0.0, 1.0, 10.0, 50.0, 99.0, 100.0):
        canary = flags(per_ticker(OFF, Scope.PERCENTAGE, percentage=percentage))
        chosen = {sid for sid in IDS if not throttled(canary, sid, default=True)}
        assert before <= chosen
        assert abs(len(chosen) - len(IDS) * percentage / 100) < 0.03 * len(IDS)
        before = chosen


def test_who_is_in_a_canary_is_the_same_in_every_run() -> None:
    assert [round(percent_of(sid), 3) for sid in ("s1", "breakout", "ß")] == [53.762, 42.052, 32.46]


def test_a_flag_turns_strategies_that_ask_for_no_mode_with_their_next_bucket() -> None:
    shard = Shard(CONDITIONS)
    shard.change(Strategy("asks", "1m", frozenset("AB"), mode=Mode.PER_TICKER))
    shard.change(Strategy("follows", "1m", frozenset("AB")))
    fires_of_shard(shard, [Tick("A", 60_000)], [])
    shard.set_flags(flags(per_ticker(OFF)))
    ticks = [Tick("B", 60_001), Tick("B", 120_000), Tick("A", 120_001)]
    assert [(fire.strategy_id, fire.ticker, fire.mode) for fire in fires_of_shard(shard, ticks, [])] == [
        ("asks", "B", Mode.PER_TICKER),
        ("follows", "B", Mode.PER_TICKER),
        ("asks", "B", Mode.PER_TICKER),
        ("follows", "", Mode.LEGACY),
        ("asks", "A", Mode.PER_TICKER),
    ]


def test_update_tracking_is_switched_at_once_and_goes_back_to_the_setting() -> None:
    shard = Shard(CONDITIONS, tracked=False)
    shard.set_flags(flags(Control(UPDATE_TRACKING, ON)))
    assert shard.tracked
    shard.set_flags(flags(Control(UPDATE_TRACKING, None)))
    assert not shard.tracked


def test_the_shadow_is_switched_at_once_and_goes_back_to_the_setting() -> None:
    shard = Shard(CONDITIONS)
    shard.change(Strategy("s", "1m", frozenset("A")))
    shard.set_flags(flags(Control(SHADOW, ON)))
    fires_of_shard(shard, [Tick("A", 60_000)], [])
    assert alerts_of_both(shard) == 1
    shard.set_flags(flags(Control(SHADOW, None)))
    assert alerts_of_both(shard) is None
    shard.compare(on=True)
    shard.set_flags(flags(Control(SHADOW, OFF)))
    assert alerts_of_both(shard) is None
    shard.set_flags(flags())
    assert alerts_of_both(shard) == 0


def alerts_of_both(shard: Shard) -> int | None:
    """What the shadow has counted; None without one."""
    return None if shard.shadow is None else shard.shadow.totals.both
