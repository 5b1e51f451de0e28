"""What files are by their bytes. Those that go in are hashed in a thread, beside the reading of them."""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

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
