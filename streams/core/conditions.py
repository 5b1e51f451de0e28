"""Rule 1: which trades move the price, by their sale condition codes.

The table is data. The one that comes along, `conditions.json`, follows the consolidated tape's rule for
the last price; a user may bring another. This file checks it and makes of it what the oracle asks
(`moves_price`) and what the kernel reads (`blocks`).

A code that the table does not list moves the price, unless the table says otherwise: an alert too many is
looked at and dismissed, an alert that is lost is never seen.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from streams.core.limits import MAX_CONDITION_CODE

TABLE_KEYS: Final = frozenset({"about", "unlisted_updates_price", "conditions"})
ENTRY_KEYS: Final = frozenset({"code", "name", "updates_price", "why"})
THE_TABLE: Final = "the table"


class ConditionTableError(ValueError):
    """The condition table cannot be used; the message names the place, what is wrong there, and the remedy."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place}: {problem}")


@dataclass(frozen=True, slots=True, eq=False)
class ConditionTable:
    """The codes that keep a trade from moving the price."""

    blocks: npt.NDArray[np.uint8]
    """For each code from 0 to MAX_CONDITION_CODE: 1 if it must not move the price. Not to be written to."""
    unlisted_blocks: bool
    """The same for every other code: negative, or above MAX_CONDITION_CODE."""
    names: Mapping[int, str]
    """Name of each listed code, for people."""

    def moves_price(self, codes: Iterable[int]) -> bool:
        """Whether a trade with these codes moves the price: it does if none of them forbids it."""
        return not any(self._is_blocked(code) for code in codes)

    def _is_blocked(self, code: int) -> bool:
        return bool(self.blocks[code]) if 0 <= code <= MAX_CONDITION_CODE else self.unlisted_blocks


def condition_table(raw: object) -> ConditionTable:
    """Check a parsed table and make it fast. Anything amiss in it is refused, nothing is guessed."""
    table = _object(raw, THE_TABLE, TABLE_KEYS)
    unlisted_blocks = not _flag(table, "unlisted_updates_price", THE_TABLE)
    entries = table.get("conditions")
    if not isinstance(entries, list):
        raise ConditionTableError(THE_TABLE, '"conditions" must be a list of entries')
    blocks = np.full(MAX_CONDITION_CODE + 1, unlisted_blocks, dtype=np.uint8)
    names: dict[int, str] = {}
    for number, entry in enumerate(entries, start=1):
        place = f"entry {number}"
        code, name, updates_price = _entry(entry, place)
        if code in names:
            raise ConditionTableError(place, f"code {code} is listed twice; keep one of the two")
        names[code] = name
        blocks[code] = not updates_price
    return ConditionTable(blocks, unlisted_blocks, names)


def _entry(raw: object, place: str) -> tuple[int, str, bool]:
    entry = _object(raw, place, ENTRY_KEYS)
    code = entry.get("code")
    if type(code) is not int or not 0 <= code <= MAX_CONDITION_CODE:
        raise ConditionTableError(
            place, f'"code" must be a whole number from 0 to {MAX_CONDITION_CODE}, not {_shown(code)}'
        )
    place = f"{place} (code {code})"
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        raise ConditionTableError(place, f'"name" must be a text that is not empty, not {_shown(name)}')
    if not isinstance(entry.get("why", ""), str):
        raise ConditionTableError(place, '"why" must be a text, or left out')
    return code, name, _flag(entry, "updates_price", place)


def _object(raw: object, place: str, keys: frozenset[str]) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise ConditionTableError(place, f"must be an object with {_listed(keys)}, not {_shown(raw)}")
    strange = raw.keys() - keys
    if strange:
        raise ConditionTableError(
            place, f"unknown {_listed(strange)}; take it out, or mend the spelling ({_listed(keys)})"
        )
    return raw


def _flag(raw: Mapping[str, Any], key: str, place: str) -> bool:
    value = raw.get(key)
    if not isinstance(value, bool):
        raise ConditionTableError(place, f'"{key}" must be true or false, not {_shown(value)}')
    return value


def _listed(keys: Iterable[object]) -> str:
    return ", ".join(sorted(_shown(key) for key in keys))


def _shown(value: object) -> str:
    """Print a value from outside in a message, however long it is."""
    return f"{value!r:.60}" if value is not None else "left out"
