"""How often each strategy fired, counted up: numpy's own count takes ten times as long."""

from streams.core.columns import Int32s, Int64s
from streams.core.jit import letting_go


@letting_go
def tally(strategy: Int32s, fired: Int64s) -> None:
    """Add the fires to what each strategy has."""
    for row in range(len(strategy)):
        fired[strategy[row]] += 1
