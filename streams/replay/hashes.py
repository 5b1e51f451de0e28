"""What files are by their bytes. Those that go in are hashed in a thread, beside the reading of them."""

import hashlib
import io
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

Hashes = dict[Path, "Future[dict[str, str]]"]


def hashed(path: Path) -> dict[str, str]:
    """A file by its name and the hash of its bytes."""
    with path.open("rb") as file:
        return {"name": path.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


@contextmanager
def hashing(paths: Iterable[Path]) -> Iterator[Hashes]:
    """The same of several, begun at once."""
    thread = ThreadPoolExecutor(1)
    try:
        yield {path: thread.submit(hashed, path) for path in paths}
    finally:
        thread.shutdown(cancel_futures=True)


class HashedAsWritten(io.RawIOBase):
    """Hands what is written on to a file, and hashes it meanwhile: it need not be read again."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """The hash of all that was written."""
        return self._hash.hexdigest()

    def writable(self) -> bool:
        """It is there to be written to."""
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        """Write some bytes."""
        self._hash.update(data)
        return self._out.write(data)
