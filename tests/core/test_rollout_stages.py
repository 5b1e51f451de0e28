"""The stages of a roll-out: up and down, and each by flags that make no third thing in between."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.flags import (
    NO_FLAGS,
    PER_TICKER_THROTTLE,
    UPDATE_TRACKING,
    Control,
    Flags,
    Scope,
    percent_of,
)
from streams.core.rollout_stages import (
    FLEET,
    PERCENTAGES,
    STAGING,
    Stage,
    canary,
    controls_for,
    following,
    preceding,
    stage_of,
)

STAGES = st.one_of(st.sampled_from([STAGING, FLEET]), st.floats(0.1, 99.9).map(canary))


def at(stage: Stage) -> Flags:
    return set_in(NO_FLAGS, controls_for(stage))


def set_in(flags: Flags, controls: Sequence[Control]) -> Flags:
    for control in controls:
        flags = flags.with_control(control)
    return flags


def per_ticker(flags: Flags, strategy_id: str) -> bool:
    return flags.value(PER_TICKER_THROTTLE, strategy_id, default=False)


def test_it_goes_up_by_steps_and_down_the_same_way() -> None:
    up = [STAGING]
    while up[-1] != FLEET:
        up.append(following(up[-1]))
    assert [each.percentage for each in up] == [0.0, *PERCENTAGES, 100.0]
    assert [str(each) for each in up] == ["staging", "canary 5 %", "canary 25 %", "canary 50 %", "fleet"]
    assert following(FLEET) == FLEET
    down = [FLEET]
    while down[-1] != STAGING:
        down.append(preceding(down[-1]))
    assert down == up[::-1]
    assert preceding(STAGING) == STAGING


def test_from_a_percentage_of_ones_own_it_goes_to_the_next_step() -> None:
    assert (following(canary(7)), preceding(canary(7))) == (canary(25), canary(5))


@pytest.mark.parametrize("percentage", [-0.1, 100.1, float("nan")])
def test_what_is_no_percentage_is_refused(percentage: float) -> None:
    with pytest.raises(ValueError, match="no percentage"):
        canary(percentage)


def test_without_a_flag_for_all_there_is_no_stage() -> None:
    share = Control(PER_TICKER_THROTTLE, value=True, scope=Scope.PERCENTAGE, percentage=5.0)
    other = Control(UPDATE_TRACKING, value=True)
    assert stage_of(NO_FLAGS) is stage_of(set_in(NO_FLAGS, [share, other])) is None


@pytest.mark.parametrize(("value", "stage"), [(False, canary(75)), (True, FLEET)])
def test_a_share_that_is_set_the_other_way_round_is_a_stage_too(value: bool, stage: Stage) -> None:
    share = Control(PER_TICKER_THROTTLE, value, Scope.PERCENTAGE, percentage=25.0)
    assert stage_of(at(FLEET).with_control(share)) == stage


@given(STAGES)
def test_the_flags_of_a_stage_make_that_stage(stage: Stage) -> None:
    assert stage_of(at(stage)) == stage
    for i in range(50):
        assert per_ticker(at(stage), f"s{i}") == (percent_of(f"s{i}") < stage.percentage)


@given(STAGES, STAGES, st.text(max_size=5))
def test_on_the_way_a_strategy_stands_as_before_or_as_after(before: Stage, after: Stage, strategy_id: str) -> None:
    flags = at(before)
    allowed = {per_ticker(flags, strategy_id), per_ticker(at(after), strategy_id)}
    for control in controls_for(after):
        flags = flags.with_control(control)
        assert per_ticker(flags, strategy_id) in allowed
    assert stage_of(flags) == after
