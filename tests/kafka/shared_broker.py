"""One broker for all workers of a test run: the first that needs it starts it, the last that leaves ends it.

    python -m tests.kafka.shared_broker FOLDER

keeps it, in a process of its own. Every worker holds a shared lock on a file of the folder for as long as it may use
the broker; the keeper waits for that lock alone. The kernel drops the locks of a worker that crashes.
"""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from streams.kafka.brokers import pick_broker
from tests.house.tree import ROOT

READY = b"ready\n"


class SharedBroker(NamedTuple):
    """What a test needs to know of the broker; it is ended by the keeper, never by a test."""

    bootstrap: str
    kind: str
    transactions: bool
    passed_over: tuple[str, ...]


@contextmanager
def shared_broker(folder: Path) -> Iterator[SharedBroker]:
    """Use the broker of this folder, started if need be."""
    with (folder / "users.lock").open("w") as users, (folder / "start.lock").open("w") as start:
        fcntl.flock(users, fcntl.LOCK_SH)
        fcntl.flock(start, fcntl.LOCK_EX)
        if not _description(folder).exists():
            keeper = start_keeper(folder)
            keeper.returncode = 0  # It outlives us on purpose: nobody is to be warned that it still runs.
        fcntl.flock(start, fcntl.LOCK_UN)
        told = json.loads(_description(folder).read_text())
        yield SharedBroker(**{**told, "passed_over": tuple(told["passed_over"])})


def _description(folder: Path) -> Path:
    return folder / "broker.json"


def start_keeper(folder: Path) -> subprocess.Popen[bytes]:
    """Start the process that keeps the broker; it ends with the last user, so the caller must be one."""
    command = [sys.executable, "-m", "tests.kafka.shared_broker", str(folder)]
    keeper = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
    )
    assert keeper.stdout is not None
    with keeper.stdout as said:
        if said.readline() != READY:
            message = f"the keeper of the broker ended with {keeper.wait()}; what it said stands above"
            raise RuntimeError(message)
    return keeper


def keep(folder: Path) -> None:
    """Start the first broker that works, tell of it, and end it when nobody uses it any more."""
    picked = pick_broker(os.environ, require_transactions=False)
    try:
        told = SharedBroker(
            picked.broker.bootstrap,
            picked.broker.kind,
            picked.broker.transactions,
            tuple(str(each) for each in picked.passed_over),
        )
        _description(folder).write_text(json.dumps(told._asdict()))
        sys.stdout.buffer.write(READY)
        sys.stdout.close()
        with (folder / "users.lock").open("w") as users:
            fcntl.flock(users, fcntl.LOCK_EX)
            # Whoever comes now waits for this lock, and then finds no broker.
            _description(folder).unlink()
    finally:
        picked.broker.stop()


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
