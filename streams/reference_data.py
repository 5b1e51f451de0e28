"""Reads the tables the rules rest on, from the package or from the user's own file."""

import json
from importlib import resources
from pathlib import Path

from streams.core.conditions import ConditionTable, ConditionTableError, condition_table


def load_conditions(path: Path | None = None) -> ConditionTable:
    """Load the condition table at `path`, or the one that comes along. Errors name the file."""
    source = path or resources.files("streams.core").joinpath("conditions.json")
    place = str(source)
    try:
        return condition_table(json.loads(source.read_bytes(), object_pairs_hook=_no_key_twice))
    except OSError as error:
        raise ConditionTableError(place, f"cannot be read ({error.strerror}); check the path") from error
    except ConditionTableError as error:
        raise ConditionTableError(place, str(error)) from error
    except (ValueError, RecursionError) as error:
        raise ConditionTableError(place, f"not JSON ({error}); mend it, or start from a copy of the default") from error


def _no_key_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse `{"code": 2, "code": 3}`, of which JSON would silently keep the last."""
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            place = f"an object that starts {pairs[0][0]!r:.40}: {pairs[0][1]!r:.40}"
            raise ConditionTableError(place, f"{key!r:.60} is given twice; keep one of the two")
        found[key] = value
    return found
