"""A shard binds itself ahead where it has far to go, and to now where it has caught up."""

from streams.core.lead import EMISSIONS, Lead
from streams.core.limits import NEVER

TICKS, SPAN_MS = 1_000, 60_000
"""Of one checkpoint."""

FAR = 100 * TICKS


def leads(ends: list[int], stream_ms: list[int] | None = None) -> list[int]:
    """What is asked for with each checkpoint."""
    lead, times = Lead(), stream_ms or [SPAN_MS * at for at in range(len(ends))]
    return [lead.at(times[at], TICKS * at, end) for at, end in enumerate(ends)]


def test_far_behind_it_binds_ahead_by_what_the_last_checkpoints_took() -> None:
    found = leads([FAR] * (EMISSIONS + 3))
    assert found == [SPAN_MS * min(at, EMISSIONS) for at in range(EMISSIONS + 3)]


def test_caught_up_it_binds_to_now() -> None:
    """Ticks that one more of these checkpoints takes are no backlog, however far apart their times are."""
    assert leads([TICKS * (at + 1) for at in range(2 * EMISSIONS)])[2:] == [0] * (2 * EMISSIONS - 2)


def test_it_binds_ahead_only_as_far_as_ticks_are_known_to_wait() -> None:
    at = 2 * EMISSIONS
    just, more = TICKS * (at + EMISSIONS), TICKS * (at + EMISSIONS) + 1
    assert leads([FAR] * at + [just])[-1] == 0
    assert leads([FAR] * at + [more])[-1] == SPAN_MS * EMISSIONS


def test_before_there_is_a_time_there_is_none_ahead_of_it() -> None:
    assert leads([FAR] * 3, [NEVER, NEVER, SPAN_MS]) == [0, 0, 0]


def test_no_ticks_no_lead() -> None:
    """A quiet shard makes checkpoints too, of clock records and changes."""
    lead = Lead()
    assert [lead.at(SPAN_MS * at, 5, 5) for at in range(2 * EMISSIONS)] == [0] * 2 * EMISSIONS
