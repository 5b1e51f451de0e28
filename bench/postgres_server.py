"""A PostgreSQL server of one's own, for tests: found or installed, on a free port, ended at the end."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final, Self

import psycopg

from bench.installed import found_or_installed
from streams.demo.stage import free_port
from streams.kafka.kafka_jars import Unavailable

PACKAGE: Final = "postgresql"
OWNER: Final = "postgres"
"""It does not run as root."""

UP_S: Final = 60.0
OPTIONS: Final = ("-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=16MB", "-c", "max_connections=20")


class PostgresServer:
    """One server, with an empty database."""

    def __init__(self) -> None:
        self._programs = _programs()
        self._as: dict[str, Any] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="tickgate-postgres-"))
        if os.geteuid() == 0:
            owner = pwd.getpwnam(OWNER)
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
            self._as = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._make()
            self.start()
        except BaseException:
            self.end()
            raise

    @property
    def url(self) -> str:
        """Where it is."""
        return f"postgresql://{OWNER}@127.0.0.1:{self.port}/postgres"

    def connect(self) -> psycopg.Connection:
        """A plain connection."""
        return psycopg.connect(self.url, autocommit=True, connect_timeout=5)

    def _make(self) -> None:
        data = str(self._folder / "data")
        options = ["--no-sync", "--auth=trust", f"--username={OWNER}", "--encoding=UTF8", "--locale=C", data]
        command = [str(self._programs / "initdb"), *options]
        done = subprocess.run(command, cwd="/", check=False, capture_output=True, text=True, **self._as)
        if done.returncode != 0:
            message = f"initdb failed: {done.stderr.strip()}"
            raise Unavailable(message)

    def start(self) -> None:
        """Start it, on the same port as ever, and wait until it answers."""
        until = time.monotonic() + UP_S
        while True:
            if self._process is None or self._process.poll() is not None:
                self._process = self._started()  # behind a crash it may refuse, while the last of its children ends
            try:
                self.connect().close()
            except psycopg.OperationalError as error:
                if time.monotonic() > until:
                    message = f"{PACKAGE} did not come up: {error}"
                    raise Unavailable(message) from error
                time.sleep(0.05)
            else:
                return

    def _started(self) -> subprocess.Popen[bytes]:
        where = ("-D", str(self._folder / "data"), "-k", str(self._folder), "-p", str(self.port))
        return subprocess.Popen(
            [self._programs / "postgres", *where, *OPTIONS],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._as,
        )

    def kill(self) -> None:
        """End it as a crash does; its children see that, and end too."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Freeze it, say: with all of its children."""
        assert self._process is not None, "it was started"
        for pid in (self._process.pid, *_children(self._process.pid)):
            with contextlib.suppress(ProcessLookupError):  # a child that has ended meanwhile
                os.kill(pid, number)

    def end(self) -> None:
        """End it for good, and remove what it held."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(UP_S)
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def _programs() -> Path:
    """The folder of its programs. Debian keeps them off the path, and a command of its own on it."""
    found = Path(found_or_installed(["initdb", "pg_ctlcluster"], PACKAGE))
    if found.name == "initdb":
        return found.resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not folders:
        message = f"there is a {found}, and no initdb"
        raise Unavailable(message)
    return folders[-1].parent


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in found.split()]
