"""The columns a tick file must have, whatever its format."""

import difflib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from streams.errors import InputError, shortened

COLUMNS: Final = ("ticker", "ts", "price", "size", "conditions")
_SHOWN_CHARACTERS: Final = 200


def check_columns(path: Path, names: Sequence[str], hint: str = "") -> None:
    """Refuse a file that lacks a column or has one twice. Their order is free, and others are not looked at."""
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise _missing(path, names, missing, hint)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        problem = f"the column {shortened(twice[0])} is there {names.count(twice[0])} times"
        raise InputError(f"{path}, header", problem, "rename or remove all but one")


def _missing(path: Path, names: Sequence[str], missing: list[str], hint: str) -> InputError:
    """An error that says what is missing, and what may be meant by it."""
    near = difflib.get_close_matches(missing[0], names, n=1)
    wanted = f"rename {shortened(near[0])} to {missing[0]}" if near else f"the columns must be {', '.join(COLUMNS)}"
    plural = "s" if len(missing) > 1 else ""
    present = ", ".join(names)[:_SHOWN_CHARACTERS]
    problem = f"no column{plural} {', '.join(missing)}; those there are {shortened(present, _SHOWN_CHARACTERS)}"
    return InputError(f"{path}, header", problem, hint or wanted)
