"""A range of topics into a folder: the ticks by day, and what they were decided by next to them.

The folder is there whole, or not at all: it is written under another name beside the real one, and moved. Its manifest
says what is in it, and the hash of each file.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from streams import __version__
from streams.errors import InputError, os_trouble
from streams.recorded.beside_files import NAMES, inputs_lines, write_beside
from streams.recorded.day_files import DayFiles
from streams.recorded.rejected import RefusedWriter
from streams.recorded.source import TopicDay
from streams.replay.ahead import ahead
from streams.replay.hashes import hashed
from streams.replay.results import write_manifest

KIND: Final = "recording"
MANIFEST: Final = "manifest.json"
REJECTED: Final = "rejected.jsonl"

Advance = Callable[[int, int | None], None]


class Recorded(NamedTuple):
    """What was written."""

    ticks: int
    rejected: int
    days: int
    warnings: list[str]


def record(day: TopicDay, out: Path, advance: Advance = lambda _done, _total: None) -> Recorded:
    """Record a range; raises `InputError`, and then leaves nothing behind."""
    with new_folder(out) as folder:
        with (
            ahead(day.placed()) as parts,
            DayFiles(folder, day.ticks.topic) as days,
            RefusedWriter(folder / REJECTED) as rejects,
        ):
            beside = day.beside  # now, and not when an hour has been recorded
            for placed, refused in parts:
                if placed is not None:
                    days.add(placed)
                rejects.add(refused)
                advance(*day.progress())
        write_beside(beside, folder)
        write_manifest(folder / MANIFEST, _manifest(day, folder, days, rejects.rows))
    done = sum(each.ticks for each in days.written)
    return Recorded(done, rejects.rows, len(days.written), day.warnings)


def _manifest(day: TopicDay, folder: Path, days: DayFiles, rejected: int) -> dict[str, Any]:
    files = [{**hashed(folder / each.name), "ticks": each.ticks} for each in days.written]
    beside = day.beside
    return {
        "kind": KIND,
        "tickgate": __version__,
        **day.told(),
        "from_ms": day.asked.from_ms,
        "to_ms": day.asked.to_ms,
        "default_mode": str(beside.default_mode),
        "files": files,
        "late_ticks": any(each.backwards for each in days.written),
        "beside": [hashed(folder / name) for name in NAMES],
        "known": inputs_lines(beside.known),
        "ticks": sum(each.ticks for each in days.written),
        "rejected": rejected,
    }


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder in the making; on a clean end it is there under its name, on any other nothing is."""
    made = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InputError(str(path), "is there already", "choose another folder, or remove it")
        made.mkdir(parents=True)
    except OSError as error:
        raise InputError(str(path), f"cannot be made ({os_trouble(error)})", "choose another folder") from error
    try:
        yield made
        with contextlib.suppress(FileNotFoundError):
            path.rmdir()
        made.rename(path)
        _sync(path.parent)
    except OSError as error:
        raise InputError(str(path), f"cannot be made ({os_trouble(error)})", "choose another folder") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Wait for the name to be on the disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
