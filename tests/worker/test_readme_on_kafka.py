"""The commands of the README that need a Kafka, run in its order against a real one."""

import os
import subprocess
from pathlib import Path

from tests.house.readme import example_files, steps
from tests.house.tree import ROOT
from tests.kafka.shared_broker import SharedBroker

FIRST = "tickgate topics apply"
LAST = "SCHEMA=schemas/execution.avsc .venv/bin/python consume.py"


def test_it_runs_as_the_readme_says(real_broker: SharedBroker, tmp_path: Path) -> None:
    markdown = (ROOT / "README.md").read_text()
    for name, text in example_files(markdown).items():
        (tmp_path / name).write_text(text)
    (tmp_path / "schemas").symlink_to(ROOT / "schemas")
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    path = f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
    own = {"TICKGATE_BROKER": real_broker.bootstrap, "TICKGATE_TOPIC_PREFIX": f"readme{os.getpid()}.", "PATH": path}
    environment = {**os.environ, **own, "TICKGATE_WEB_PORT": "0"}
    commands = [step.command for step in steps(markdown)]
    said = {}
    for command in commands[commands.index(FIRST) : commands.index(LAST) + 1]:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{command}: {done.stderr[-2000:]}"
        said[command] = done.stdout
    assert '"fired_pairs"' in said["tickgate worker --drain"]
    assert len(said[LAST].splitlines()) > 10
    assert (tmp_path / "standing.jsonl").read_text().count("\n") == 53
    assert said['tickgate strategies pause breakout --reason "too loud"'] == "breakout: version 2, paused\n1 written\n"
    assert '"universe": ["AAPL", "MSFT", "NVDA"]' in said["tickgate strategies show breakout"]
    assert said["tickgate strategies delete breakout --dry-run"].startswith("breakout: version 5, deleted\n")
