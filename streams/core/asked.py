"""Which strategies somebody wants every decision of: those named, or a stable share of all."""

import re
from hashlib import blake2b
from typing import Final, NamedTuple, Self

from streams.core.limits import MAX_ASKED_STRATEGIES, MAX_STRATEGY_ID_BYTES

OFF: Final = "off"
SAMPLE: Final = "sample:"
_SHARE: Final = re.compile(r"0|1|0\.[0-9]{1,9}|1\.0{1,9}")


class Asked(NamedTuple):
    """Strategies by id, or by share."""

    ids: frozenset[str] = frozenset()
    share: float = 0.0

    @classmethod
    def read(cls, text: str) -> Self:
        """Read `off`, `sample:0.01`, or ids with commas. Raises ValueError: problem, semicolon, remedy."""
        if text == OFF:
            return cls()
        if text.startswith(SAMPLE):
            share = text.removeprefix(SAMPLE)
            if not _SHARE.fullmatch(share):
                raise ValueError(f"asks for no share; write such as {SAMPLE}0.01, from 0 to 1")
            return cls(share=float(share))
        ids = frozenset(each for part in text.split(",") if (each := part.strip()))
        if len(ids) > MAX_ASKED_STRATEGIES:
            raise ValueError(f"names {len(ids)} strategies; name {MAX_ASKED_STRATEGIES} at most, or {SAMPLE}0.01")
        too_long = [each for each in ids if len(each.encode()) > MAX_STRATEGY_ID_BYTES]
        if too_long or not ids:
            what = f"names a strategy of more than {MAX_STRATEGY_ID_BYTES} bytes" if too_long else "names no strategy"
            raise ValueError(f"{what}; write {OFF}, {SAMPLE}0.01, or ids with commas")
        return cls(ids)

    def __str__(self) -> str:
        """As it is read."""
        return ",".join(sorted(self.ids)) or (f"{SAMPLE}{self.share}" if self.share else OFF)

    @property
    def anything(self) -> bool:
        """Whether any strategy may be asked for."""
        return bool(self.ids) or self.share > 0

    def asks_for(self, strategy_id: str) -> bool:
        """Whether this one is. A share is the same in every run, and a larger one holds all of a smaller."""
        return strategy_id in self.ids or _place(strategy_id) < self.share


NOBODY: Final = Asked()


def _place(strategy_id: str) -> float:
    """Where an id falls between 0 and 1."""
    digest = blake2b(strategy_id.encode(), digest_size=8, person=b"decisions").digest()
    return int.from_bytes(digest) / 2**64
