"""The stage of a roll-out as flags on `controls`, for commands."""

from collections.abc import Mapping
from typing import NamedTuple

from streams.core.flags import NO_FLAGS
from streams.core.rollout_stages import Stage, controls_for, stage_of
from streams.kafka.control_topic import read_entries, standing, write_control
from streams.kafka.registry import Schemas


class RolloutFlags(NamedTuple):
    """Where they stand."""

    bootstrap: str
    topic: str
    schemas: Schemas
    security: Mapping[str, str]

    def stage(self) -> Stage | None:
        """What is set; None where no stage is. Raises `InputError`."""
        flags = NO_FLAGS
        for control in standing(read_entries(self.bootstrap, self.topic, self.schemas, self.security)):
            flags = flags.with_control(control)
        return stage_of(flags)

    def go(self, stage: Stage, ts_ms: int, reason: str) -> None:
        """Set a stage; raises `InputError`. To do it again does no harm."""
        for control in controls_for(stage):
            write_control(
                self.bootstrap, self.topic, self.schemas, control, ts_ms, reason=reason, security=self.security
            )
