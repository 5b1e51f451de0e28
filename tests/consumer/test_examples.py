"""The examples, and what the README shows of consuming, run as processes of their own against a real Kafka."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.consumer.ground import Ground, execution, home
from tests.house.readme import example_files, steps
from tests.house.tree import ROOT

PAGE = ROOT / "README.md"

WORKERS = {
    ".venv/bin/python examples/worker.py": "example-worker",
    "SCHEMAS=schemas .venv/bin/python examples/plain_worker.py": "plain-worker",
    ".venv/bin/python my_worker.py": "my-strategies",
}
"""Commands of the README that report results, and the group of each."""

FOLLOW = ".venv/bin/python follow.py"
TOLD = [execution(f"s{n % 3}", n, ["AAPL", "MSFT"], execution_id=f"e{n}") for n in range(12)]
WHOLE = execution("all", 12, [], execution_id="e12")


def shown() -> list[str]:
    return [step.command for step in steps(PAGE.read_text())]


@contextmanager
def started(command: str, ground: Ground, folder: Path) -> Iterator[IO[str]]:
    """Run a command of the README where its files are; at the end it must go in good order when it is told to."""
    for name, text in example_files(PAGE.read_text()).items():
        (folder / name).write_text(text)
    for name in ("schemas", "examples"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)
    own = {"TICKGATE_BROKER": ground.bootstrap, "TICKGATE_TOPIC_PREFIX": ground.prefix, "PYTHONPATH": str(ROOT)}
    stderr = (folder / "stderr").open("w")
    process = subprocess.Popen(
        ["sh", "-c", f"export {command.replace(' .venv', '; exec .venv')}" if "=" in command else f"exec {command}"],
        cwd=folder,
        env={**os.environ, **own},
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        stderr.close()
    assert code in ({0, -signal.SIGTERM} if command == FOLLOW else {0}), (folder / "stderr").read_text()


def put_all(ground: Ground) -> None:
    """What a worker would send, with repeats and a value that is none."""
    for partition in (0, 1):
        mine = [each for each in TOLD if home(each.strategy_id) == partition]
        whole = [WHOLE, WHOLE] if partition == home("all") else []
        # The last one is new: who has printed it has come to the end.
        ground.put([mine[0], b"junk.....", *mine[:-1], *mine[:2], *whole, mine[-1]], partition=partition)


def lines(stdout: IO[str], count: int) -> list[str]:
    return [stdout.readline().strip() for _ in range(count)]


@pytest.mark.parametrize("command", WORKERS)
def test_workers_report_each_execution_once_and_leave_in_good_order(
    ground: Ground, tmp_path: Path, command: str
) -> None:
    assert command in shown()
    put_all(ground)
    with started(command, ground, tmp_path) as stdout:
        printed = lines(stdout, len(TOLD) + 1)
        assert all(any(each.strategy_id in line for each in (*TOLD, WHOLE)) for line in printed)
    results = ground.results()
    assert Counter(each.record["execution_id"] for each in results) == Counter(f"e{n}" for n in range(13))
    for each in results:
        assert each.partition == home(each.record["strategy_id"])
        assert each.record["status"] == "ok"
        wanted = [] if each.record["strategy_id"] == "all" else ["AAPL", "MSFT"]
        assert [trigger["ticker"] for trigger in each.record["triggers"]] == wanted
    junk = [(tmp_path / "stderr").read_text().count(f"left out {ground.topic}-{partition}@1") for partition in (0, 1)]
    assert junk == [1, 1]
    ends = [ground.committed(WORKERS[command], partition) for partition in (0, 1)]
    assert sum(ends) == len(TOLD) + 2 * 4 + 2


def test_the_loop_of_the_readme_sees_each_execution_once(ground: Ground, tmp_path: Path) -> None:
    assert FOLLOW in shown()
    put_all(ground)
    with started(FOLLOW, ground, tmp_path) as stdout:
        printed = lines(stdout, len(TOLD) + 1)
    wanted = [f"see {each.strategy_id} {each.bucket_ms} tickers AAPL MSFT" for each in TOLD]
    assert sorted(printed) == sorted([*wanted, f"see all {WHOLE.bucket_ms} universe"])


def test_every_command_of_the_section_is_run_by_a_test() -> None:
    section = PAGE.read_text().partition("## Consume the alerts")[2].partition("\n## ")[0]
    by_another = {"SCHEMA=schemas/execution.avsc .venv/bin/python consume.py"}
    assert {step.command for step in steps(section)} == {*WORKERS, FOLLOW, *by_another}
