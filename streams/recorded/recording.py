"""A recording read back: its manifest, what its ticks were decided by, and the ticks as they were merged."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from streams.core.conditions import ConditionTable
from streams.core.events import Mode
from streams.errors import InputError, os_trouble, shortened
from streams.recorded.beside_files import NAMES, read_beside
from streams.recorded.placed import Refused, Ticks
from streams.recorded.record import KIND, MANIFEST
from streams.recorded.source import topic_place
from streams.replay.hashes import hashed
from streams.replay.tick_columns import Int32s, Int64s
from streams.replay.tick_files import open_ticks

AGAIN: Final = "record the range again, or copy the recording again from where it is whole"
ROWS_AT_ONCE: Final = 1 << 16


def is_recording(folder: Path) -> bool:
    """Whether a folder says of itself that it is one."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("kind") == KIND


class Recording:
    """A folder that `tickgate record` has made."""

    def __init__(self, folder: Path, conditions: ConditionTable, batch_ticks: int) -> None:
        """Open it, and hold each file against its hash; raises `InputError`."""
        self.folder, self.conditions = folder, conditions
        self.warnings: list[str] = []
        self.manifest = _manifest_of(folder)
        self._check_files()
        found = self.manifest
        shards, mode = len(found["partitions"]), Mode(found["default_mode"])
        self.beside = read_beside(folder, shards, mode, found["known"])
        self._files = [open_ticks(folder / each["name"], batch_ticks) for each in found["files"]]

    def _check_files(self) -> None:
        for told in (*self.manifest["files"], *self.manifest["beside"]):
            path = self.folder / told["name"]
            try:
                now = hashed(path)["sha256"]
            except OSError as error:
                raise InputError(str(path), f"cannot be read ({os_trouble(error)})", AGAIN) from error
            if now != told["sha256"]:
                problem = f"is not as it was recorded: {MANIFEST} has another hash for it"
                remedy = f"{AGAIN}; or replay it as files, with --strategies"
                raise InputError(str(path), problem, remedy)

    def runs(self) -> Iterator[tuple[Ticks | None, list[Refused]]]:
        """The ticks in their order. A row that cannot be used would be one that was not recorded."""
        for file in self._files:
            places = _Places(file.path)
            for batch in file.batches():
                if batch.rejects:
                    problem = f"row {batch.rejects[0].row}: {batch.rejects[0].detail}"
                    raise InputError(str(file.path), problem, AGAIN)
                offset, partition = places.take(len(batch.ts_ms))
                yield Ticks(batch._replace(rows=offset), partition), []

    def progress(self) -> tuple[int, int | None]:
        """Rows."""
        return sum(file.rows_read for file in self._files), int(self.manifest["ticks"])

    def told(self) -> dict[str, Any]:
        """Which topic, and which part of it: the same that a replay of the topic tells."""
        return {name: self.manifest[name] for name in ("topic", "app_id", "partitions")}

    def place(self, partition: int, offset: int) -> str:
        """Where a tick stood in the topic."""
        return topic_place(self.manifest["topic"], partition, offset)


class _Places:
    """Where the ticks of a file stand in their topic, read along with them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._batches = self._read()
        self._offset: Int64s = np.zeros(0, np.int64)
        self._partition: Int32s = np.zeros(0, np.int32)

    def take(self, count: int) -> tuple[Int64s, Int32s]:
        """Of the next ticks, offset and partition."""
        while len(self._offset) < count:
            offset, partition = next(self._batches)
            self._offset = np.concatenate((self._offset, offset))
            self._partition = np.concatenate((self._partition, partition))
        taken = self._offset[:count], self._partition[:count]
        self._offset, self._partition = self._offset[count:], self._partition[count:]
        return taken

    def _read(self) -> Iterator[tuple[Int64s, Int32s]]:
        try:
            with pq.ParquetFile(self._path) as file:
                for batch in file.iter_batches(ROWS_AT_ONCE, columns=["offset", "partition"]):
                    yield batch.column("offset").to_numpy(), batch.column("partition").to_numpy()
        except (pa.ArrowException, OSError, KeyError) as error:
            raise InputError(str(self._path), f"cannot be read ({shortened(str(error), 200)})", AGAIN) from error


def _manifest_of(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(
            str(path), f"cannot be read ({os_trouble(error)})", "name a folder of `tickgate record`"
        ) from error
    except ValueError as error:
        raise InputError(str(path), f"not JSON ({error})", AGAIN) from error
    if not isinstance(found, dict) or found.get("kind") != KIND:
        raise InputError(str(path), "is not of a recording", "name a folder of `tickgate record`")
    if [each["name"] for each in found["beside"]] != list(NAMES):
        raise InputError(str(path), "names other files than this version writes", AGAIN)
    return found
