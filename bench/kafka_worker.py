"""A running `tickgate worker`, seen from outside: whether it is ready, its metrics, its memory, and its end."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final, Self

from prometheus_client.parser import text_string_to_metric_families

from bench.kafka_ground import Place, RunError, last_words
from streams.demo.stage import free_port

COMMAND: Final = ("-m", "streams.cli", "worker")
LOOK_AGAIN_S: Final = 0.01
ANSWER_TIMEOUT_S: Final = 5.0
READY_TIMEOUT_S: Final = 120.0
STOP_TIMEOUT_S: Final = 20.0
USER_AT, SYSTEM_AT = 11, 12
"""Where `/proc/<pid>/stat` has the two, counted from behind the name."""

RESIDENT: Final = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)


class Worker:
    """One worker process. Use it in a `with`: it is stopped at the end, or killed."""

    def __init__(self, place: Place, name: str = "worker", command: Sequence[str] = COMMAND, **more: str) -> None:
        """Start it; `more` are settings beside those of the place."""
        self._port = free_port()
        self._log = place.ground.scratch / f"{place.app_id}-{name}.log"
        environment = place.environment(os.environ, TICKGATE_WEB_PORT=str(self._port), **more)
        self.started_s = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def readiness(self) -> dict[str, Any]:
        """What /readyz says; nothing before the web server is up."""
        self._must_run()
        with suppress(OSError, HTTPException):
            return dict(json.loads(self._get("/readyz")))
        return {}

    def partitions(self) -> set[int]:
        """The shards that it owns and that move."""
        return {shard["partition"] for shard in self.readiness().get("shards", []) if shard["moving"]}

    def wait_until(self, is_so: Callable[["Worker"], bool], what: str) -> float:
        """Look until it is so; returns the seconds since the start of the process."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not is_so(self):
            if time.monotonic() > deadline:
                raise RunError(f"the worker was not {what} after {READY_TIMEOUT_S:.0f} s: {self.words()}")
            time.sleep(LOOK_AGAIN_S)
        return time.monotonic() - self.started_s

    def wait_until_ready(self, shards: int) -> float:
        """Wait until it moves at least so many shards and says that it is ready; returns the seconds that took."""
        return self.wait_until(
            lambda each: each.readiness().get("ready", False) and len(each.partitions()) >= shards, "ready"
        )

    def metric(self, name: str) -> list[float]:
        """The values of one metric, whatever its labels; no more than was there when it was asked."""
        families = text_string_to_metric_families(self._get("/metrics"))
        return [sample.value for family in families for sample in family.samples if sample.name == name]

    def resident_bytes(self) -> int:
        """The memory that it takes now."""
        self._must_run()
        found = RESIDENT.search(Path(f"/proc/{self._process.pid}/status").read_text())
        assert found is not None, "Linux shows it"
        return int(found[1]) * 1024

    def processor_s(self) -> float:
        """The processor time that it has taken, of all its threads."""
        self._must_run()
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[USER_AT]) + int(fields[SYSTEM_AT])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """End it as a crash does."""
        self._process.kill()
        self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def exit_code(self) -> int:
        """Wait until it has ended."""
        return self._process.wait(STOP_TIMEOUT_S)

    def stop(self) -> None:
        """End it in good order; kill it where that does not help."""
        if self._process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.exit_code()
            except subprocess.TimeoutExpired:
                self.kill()

    def words(self) -> str:
        """What it said last."""
        return last_words(self.said())

    def said(self) -> str:
        """All that it said."""
        return self._log.read_text(errors="replace")

    def table_row(self, table: str, key: str) -> Any:  # noqa: ANN401 - a row of any table
        """A row as it answers; None where it has none, or cannot say."""
        self._must_run()
        with suppress(OSError, HTTPException):
            return json.loads(self._get(f"/tables/{table}/{key}")).get("row")
        return None

    def _must_run(self) -> None:
        if self._process.poll() is not None:
            raise RunError(f"the worker ended by itself with {self._process.returncode}: {self.words()}")

    def _get(self, path: str) -> str:
        """What it answers; a refusal, such as not ready, is an answer too."""
        with closing(HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_TIMEOUT_S)) as connection:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
