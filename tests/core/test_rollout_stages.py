"""The stages of a roll-out: up and down, and each by flags that make no third thing in between."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.rollout_stages import (
    FLEET,
    PERCENTAGES,
    STAGING,
    Setting,
    Stage,
    canary,
    following,
    preceding,
    settings_for,
    stage_of,
)

STAGES = st.one_of(st.sampled_from([STAGING, FLEET]), st.floats(0.1, 99.9).map(canary))


@dataclass
class Flags:
    """What is set."""

    everywhere: bool | None = None
    share: Setting | None = None

    def set(self, setting: Setting) -> None:
        if setting.percentage is None:
            self.everywhere = setting.value
        else:
            self.share = None if setting.value is None else setting

    def per_ticker(self, percent: float) -> bool | None:
        """Of a strategy that stands at a percentage."""
        share = self.share
        if share is not None and share.percentage is not None and percent < share.percentage:
            return share.value
        return self.everywhere


def at(stage: Stage) -> Flags:
    flags = Flags()
    for setting in settings_for(stage):
        flags.set(setting)
    return flags


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
    assert stage_of(None, None) is None
    assert stage_of(None, Setting(value=True, percentage=5.0)) is None


def test_a_share_that_is_set_the_other_way_round_is_a_stage_too() -> None:
    assert stage_of(everywhere=True, share=Setting(value=False, percentage=25.0)) == canary(75)
    assert stage_of(everywhere=True, share=Setting(value=True, percentage=25.0)) == FLEET


@given(STAGES)
def test_the_flags_of_a_stage_make_that_stage(stage: Stage) -> None:
    flags = at(stage)
    assert stage_of(flags.everywhere, flags.share) == stage
    assert sum(bool(flags.per_ticker(percent)) for percent in range(100)) == pytest.approx(stage.percentage, abs=1)


@given(STAGES, STAGES, st.floats(0, 99.999))
def test_on_the_way_a_strategy_stands_as_before_or_as_after(before: Stage, after: Stage, percent: float) -> None:
    flags = at(before)
    stood = flags.per_ticker(percent)
    will = at(after).per_ticker(percent)
    for setting in settings_for(after):
        flags.set(setting)
        assert flags.per_ticker(percent) in {stood, will}
    assert flags.per_ticker(percent) == will
