"""Timings that hold on a noisy machine: candidates in turn, round by round, medians, and ratios within a round."""

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any, NamedTuple


class Timing(NamedTuple):
    """Seconds of each round."""

    seconds: list[float]

    @property
    def median(self) -> float:
        """The middle round."""
        return median(self.seconds)


class Candidate(NamedTuple):
    """Something to time: `prepare` is not timed, and hands `run` what it works on."""

    prepare: Callable[[], Any]
    run: Callable[[Any], None]


def seconds_of(candidate: Candidate) -> float:
    """What one run takes."""
    prepared = candidate.prepare()
    began = time.perf_counter()
    candidate.run(prepared)
    return time.perf_counter() - began


def in_turn(candidates: Mapping[str, Candidate], rounds: int) -> dict[str, Timing]:
    """Run every candidate once a round, one after the other, after a round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for round_number in range(rounds + 1):
        for name, candidate in candidates.items():
            took_s = seconds_of(candidate)
            if round_number:
                seconds[name].append(took_s)
    return {name: Timing(found) for name, found in seconds.items()}


def ratio(fast: Timing, slow: Timing) -> float:
    """How many times faster, as the median of the rounds' own ratios."""
    return median(slow / fast for fast, slow in zip(fast.seconds, slow.seconds, strict=True))
