"""Which tick files a replay reads: those named, and all that lie in the folders named."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from streams.errors import InputError, os_trouble
from streams.replay.limits import MAX_GAPS_NAMED, MAX_TICK_FILES

SUFFIXES: Final = {".parquet": "Parquet", ".pq": "Parquet", ".csv": "CSV", ".csv.gz": "CSV"}
_DAY: Final = re.compile(r"(?<![0-9])((?:19|20)[0-9]{2})-?(0[1-9]|1[0-2])-?(0[1-9]|[12][0-9]|3[01])(?![0-9])")
_FIRST_DAY_OFF: Final = 5


class Found(NamedTuple):
    """A tick file, and what it is called where there are several."""

    path: Path
    label: str


def format_of(path: Path) -> str | None:
    """The format of a tick file, told by its suffix."""
    name = path.name.lower()
    return next((kind for suffix, kind in SUFFIXES.items() if name.endswith(suffix)), None)


def find_files(paths: Sequence[Path]) -> list[Found]:
    """The files in the order they are named, those of a folder by their paths; each once."""
    found: list[Found] = []
    seen: dict[Path, Path] = {}
    for path in paths:
        for file in _in_folder(path) if path.is_dir() else [Found(path, path.name)]:
            real = file.path.resolve()
            if real in seen:
                remedy = "its ticks would count twice: name it once"
                raise InputError(str(file.path), f"the same file as {seen[real]}", remedy)
            seen[real] = file.path
            found.append(file)
            if len(found) > MAX_TICK_FILES:
                raise InputError(str(path), f"more than {MAX_TICK_FILES} tick files", "replay fewer days at once")
    return found


def _in_folder(folder: Path) -> list[Found]:
    """The tick files of a folder and of those in it. Names that begin with a dot or `_` belong to whoever wrote it."""
    try:
        paths = sorted(path for path in folder.rglob("*") if not _is_hidden(path.relative_to(folder)))
        files = [path for path in paths if format_of(path) and path.is_file()]
    except OSError as error:
        raise InputError(str(folder), f"cannot be read ({os_trouble(error)})", "check the path") from error
    if not files:
        raise InputError(str(folder), "no tick file in this folder", f"name them {', '.join(SUFFIXES)}")
    first = {format_of(path): path.relative_to(folder) for path in reversed(files)}
    if len(first) > 1:
        problem = f"both {' and '.join(f'{kind} ({path})' for kind, path in sorted(first.items(), key=str))}"
        remedy = "a day may be there in both: move one format elsewhere, or name each file with --ticks"
        raise InputError(str(folder), problem, remedy)
    return [Found(path, f"{folder.name}/{path.relative_to(folder).as_posix()}".lstrip("/")) for path in files]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def gaps(files: Iterable[Found]) -> list[str]:
    """Warn of weekdays without a file, where each file is named by its day."""
    days = [_day_of(file.label) for file in files]
    known = sorted({day for day in days if day})
    if len(known) < len(days) or not known:
        return []
    missing = [day for day in _weekdays(known[0], known[-1]) if day not in set(known)]
    if not missing:
        return []
    shown = ", ".join(f"{day:%Y-%m-%d}" for day in missing[:MAX_GAPS_NAMED])
    more = f" and {len(missing) - MAX_GAPS_NAMED} more" if len(missing) > MAX_GAPS_NAMED else ""
    return [f"no file for {shown}{more}; if the market was open, ticks are missing: add the files and run again"]


def _day_of(label: str) -> date | None:
    """The day that a path names last."""
    for year, month, day in reversed(_DAY.findall(label)):
        try:
            return date(int(year), int(month), int(day))
        except ValueError:
            continue
    return None


def _weekdays(first: date, last: date) -> Iterator[date]:
    for days in range((last - first).days):
        day = first + timedelta(days)
        if day.weekday() < _FIRST_DAY_OFF:
            yield day
