"""`tickgate proposals run` as a user meets it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from streams.cli import main
from tests.house.readme import example_files, run, steps
from tests.house.tree import ROOT
from tests.kafka.shared_broker import SharedBroker
from tests.trader.proposals_ground import Ground
from tests.trader.results_made import START_MS, result, trigger

MARKDOWN = (ROOT / "README.md").read_text()


def test_it_is_run_as_the_readme_says(
    real_broker: SharedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = Ground(real_broker.bootstrap, tmp_path, example_files(MARKDOWN)["policy.yaml"])
    ground.send({**result("e1", "s1", START_MS), "triggers": [trigger("AAPL", 0.28)]})
    for name, each in ground.settings.shown().items():
        if each:
            monkeypatch.setenv(name, each)
    shown = [step for step in steps(MARKDOWN) if step.command.startswith("tickgate proposals")]
    assert [each.command for each in shown] == ["tickgate proposals run --drain"]
    assert list(run(shown[0], tmp_path)) == []
    assert [each["proposal_id"] for each in ground.proposals()] == ["e1/AAPL"]


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (None, "policy.yaml: cannot be read (no such file or directory)"),
        ("strategy: {min_conviction_to_propose: 2}\n", "2 is out of range; write one from 0 to 1"),
        ("strategy: {}\n", "run `tickgate topics apply`"),
    ],
)
def test_what_it_cannot_begin_with_is_told(
    policy: str | None, words: str, real_broker: SharedBroker, tmp_path: Path
) -> None:
    file = tmp_path / "policy.yaml"
    if policy is not None:
        file.write_text(policy)
    environment = {"TICKGATE_BROKER": real_broker.bootstrap, "TICKGATE_TOPIC_PREFIX": "none.", "TICKGATE_WEB_PORT": "0"}
    done = CliRunner().invoke(main, ["proposals", "run", "--file", str(file)], env=environment)
    assert done.exit_code == 2
    assert words in done.stderr


def test_results_that_ended_before_they_were_taken_are_of_another_topic(
    real_broker: SharedBroker, tmp_path: Path
) -> None:
    ground = Ground(real_broker.bootstrap, tmp_path, "strategy: {}\n")
    ground.send(result("e1", "s1", START_MS))
    environment = {name: each for name, each in ground.settings.shown().items() if each}
    command = ["proposals", "run", "--drain", "--file", str(ground.policy)]
    assert CliRunner().invoke(main, command, env=environment).exit_code == 0
    ground.make_results_anew()
    done = CliRunner().invoke(main, command, env=environment)
    assert done.exit_code == 2
    assert "it ends at 0, and results up to 1 were taken: it is another topic than it was" in done.stderr
