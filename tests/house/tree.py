"""What the tests of the house look at: the files of the checkout, and the syntax trees of the Python among them."""

import ast
import fnmatch
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from streams.process import nothing_collected

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("streams", "agents", "bench", "examples", "tests")
SCRIPTS = ("dev",)


class Module(NamedTuple):
    """One Python file."""

    path: str
    """From the root, with forward slashes."""
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """The name it is imported by."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def module(path: str, text: str) -> Module:
    """Parse one file's text."""
    return Module(path, text, parsed(text, path))


def parsed(text: str, path: str = "<text>", python: tuple[int, int] | None = None) -> ast.Module:
    """Parse a text, and collect nothing meanwhile.

    A collection may let another thread in, and CPython 3.11 counts the depth of all trees that are being made in one
    place: gh-106905. So it failed now and then, behind tests that had left something to collect.
    """
    with nothing_collected():
        return ast.parse(text, path, feature_version=python)


def modules(*folders: str) -> list[Module]:
    """Read every Python file in these folders, and the scripts where all folders are asked for."""
    paths = [path for folder in folders or FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    paths += [] if folders else [ROOT / script for script in SCRIPTS]
    return [module(path.relative_to(ROOT).as_posix(), path.read_text()) for path in paths]


def listed_by_git(root: Path) -> list[str] | None:
    """Ask git for the files that are tracked, or new and not ignored; None without git or a repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        answer = subprocess.run(command, cwd=root, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return sorted({name for name in answer.stdout.split("\0") if name and (root / name).is_file()})


def found_by_walking(root: Path) -> list[str]:
    """Find the files that .gitignore does not name: what git would list, on a machine without it."""
    ignored = [line for line in (root / ".gitignore").read_text().splitlines() if line and not line.startswith("#")]
    return sorted(_walk(root, "", [*ignored, ".git/", ".git"]))


def _walk(root: Path, folder: str, ignored: list[str]) -> Iterator[str]:
    for entry in os.scandir(root / folder):
        path = f"{folder}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            if not _is_ignored(f"{path}/", ignored):
                yield from _walk(root, f"{path}/", ignored)
        elif entry.is_file() and not _is_ignored(path, ignored):
            yield path


def _is_ignored(path: str, patterns: list[str]) -> bool:
    """A pattern with a slash inside counts from the root, any other at every depth."""
    name = path.rstrip("/").rpartition("/")[2] + ("/" if path.endswith("/") else "")
    return any(
        fnmatch.fnmatchcase(path if "/" in pattern[:-1] else name, pattern.lstrip("/").replace("**/", "*"))
        for pattern in patterns
    )


def files_of_the_house() -> list[str]:
    """Every file that is tracked, or would be."""
    listed = listed_by_git(ROOT)
    return found_by_walking(ROOT) if listed is None else listed
