"""Ticks in columns: those of clock records, some of them, and where they reach a time."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from streams.core.columns import Ticks
from streams.core.kernel import CLOCK, NO_TICK
from streams.core.limits import FOREVER, NEVER


def clock_ticks(times_ms: Sequence[int]) -> Ticks:
    """Clock records as a step takes them."""
    count = len(times_ms)
    return Ticks(np.full(count, CLOCK, np.int32), np.array(times_ms, np.int64), np.zeros(count, np.uint8))


def part_of(ticks: Ticks, start: int, end: int) -> Ticks:
    """Some of the ticks."""
    return Ticks._make(column[start:end] for column in ticks)


def of_one_kind(ticks: Ticks, *, fixed: bool) -> Ticks:
    """The ticks as a step is compiled for them: times that come out of a file cannot be written to, others can."""
    if ticks.ts_ms.flags.writeable is not fixed:
        return ticks
    times_ms = ticks.ts_ms.view() if fixed else ticks.ts_ms.copy()
    times_ms.flags.writeable = not fixed
    return ticks._replace(ts_ms=times_ms)


def reaches(ticks: Ticks, time_ms: int) -> int:
    """The first tick that moves stream time up to a time, or past it; behind the last where none does."""
    if time_ms == FOREVER:
        return len(ticks.ticker)
    reaching = moving(ticks) & (ticks.ts_ms >= time_ms)
    return int(reaching.argmax()) if reaching.any() else len(ticks.ticker)


def newest_ms(ticks: Ticks) -> int:
    """The time that stream time comes to by them, if it is not there yet."""
    return int(ticks.ts_ms[moving(ticks)].max(initial=NEVER))


def moving(ticks: Ticks) -> npt.NDArray[np.bool_]:
    """Which of them move stream time."""
    found: npt.NDArray[np.bool_] = (ticks.ticker == CLOCK) | ((ticks.ticker != NO_TICK) & (ticks.moves_price == 1))
    return found
