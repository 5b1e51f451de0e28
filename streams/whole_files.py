"""Files that are there whole or not at all: written under another name beside the real one, then moved."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from streams.errors import InputError, os_trouble


class WholeFile:
    """One file in the making. On a clean end of the `with` it takes the place of an earlier one.

    On any error, Ctrl-C included, it is removed, and the earlier file stays as it was. A process that is
    killed leaves a file named `….part` behind, which no one takes for a result.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(f"{path.name}.{os.getpid()}.part")

    def __enter__(self) -> Self:
        with self.trouble_named():
            self.out = self.part.open("wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with self.trouble_named():
                    self._keep()
        finally:
            with contextlib.suppress(OSError):
                self.out.close()
            with contextlib.suppress(OSError):
                self.part.unlink(missing_ok=True)

    def write(self, text: str) -> None:
        """Add some text, as UTF-8."""
        with self.trouble_named():
            self.out.write(text.encode())

    @contextlib.contextmanager
    def trouble_named(self) -> Iterator[None]:
        """Turn what the system refuses (disk full, no permission) into an `InputError` that names the file."""
        try:
            yield
        except OSError as error:
            remedy = "make room or choose another folder, then run again; nothing half written is left behind"
            raise InputError(str(self.path), f"cannot be written ({os_trouble(error)})", remedy) from error

    def _keep(self) -> None:
        """Wait for the bytes to be on the disk, give the file its name, and wait for that too."""
        self.out.flush()
        os.fsync(self.out.fileno())
        self.out.close()
        self.part.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_whole(path: Path, pieces: Iterable[str]) -> None:
    """Write a text file, whole or not at all."""
    with WholeFile(path) as file:
        for piece in pieces:
            file.write(piece)


def make_folder(path: Path) -> None:
    """Make the folder for the results."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(str(path), f"cannot be made ({os_trouble(error)})", "choose another folder") from error
