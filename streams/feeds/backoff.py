"""How long to wait before a feed is asked again: longer each time, and never for all at the same moment. Pure."""

from typing import Final

FIRST_S: Final = 0.5
LONGEST_S: Final = 30.0
MOST_DOUBLINGS: Final = 10
STEADY_S: Final = LONGEST_S
"""A connection that has lasted so long was a good one: behind it counting begins anew."""


def wait_s(failures: int, luck: float) -> float:
    """How long to wait behind so many failures in a row; `luck` is from 0 to 1, and shortens it by up to a half."""
    whole = min(FIRST_S * (1 << min(failures, MOST_DOUBLINGS)), LONGEST_S)
    return whole * (1 - luck / 2)
