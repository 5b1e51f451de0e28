"""Every command that README.md shows is run by a test, and prints what the README says."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.house.readme import example_files, problems, steps
from tests.house.tree import ROOT

RUNNABLE = ("tickgate", ".venv/bin/tickgate", ".venv/bin/python")
"""What is run here, in a scratch folder that holds the README's example files, in the README's order."""

ELSEWHERE = {
    "./dev setup": "what ./dev test begins with",
    "./dev test": "what .ci/run runs",
    "./dev check": "tests/house/test_checks.py runs each check",
}
"""What runs wherever the tests run, shown in the README or not."""

ON_KAFKA = "tests/worker/test_readme_on_kafka.py::test_it_runs_as_the_readme_says"

FEEDS = "tests/feeds/test_live_command.py::"

CONSUMERS = "tests/consumer/test_examples.py::test_workers_report_each_execution_once_and_leave_in_good_order"

AS_IT_WAS = "tests/recorded/test_ranges.py::test_it_is_recorded_and_replayed_as_the_readme_says"

OF_WORKER = "tests/recorded/test_of_worker.py::test_what_stands_and_why_is_told_by_each_worker_as_by_the_topics"

WARM_UP = "tests/recorded/test_warm_up.py::test_the_second_half_comes_out_as_it_was_lived"

PACED = "tests/recorded/test_paced.py::test_it_is_sent_as_the_readme_says"

FOLLOWED = "tests/consumer/test_examples.py::test_the_loop_of_the_readme_sees_each_execution_once"

UNIVERSE = "tests/universes/test_universe_command.py::test_it_is_run_as_the_readme_says"

SYNC = "tests/database/test_sync_command.py::test_it_syncs_as_the_readme_says"

ROLLOUT = "tests/worker/test_rollout.py::test_it_rolls_out_and_back_as_the_readme_shows"

PROPOSALS = "tests/trader/test_proposals_command.py::test_it_is_run_as_the_readme_says"

REDIS = "tests/views/redis/test_follow.py::test_it_follows_and_reconciles_as_the_readme_says"

PROVEN_BY: dict[str, str] = {
    "tickgate topics apply": ON_KAFKA,
    "tickgate strategies import strategies.jsonl": ON_KAFKA,
    "tickgate feed strategies market.jsonl --count 50": ON_KAFKA,
    "tickgate strategies import market.jsonl": ON_KAFKA,
    "tickgate feed synthetic --rate 5000 --seconds 2": ON_KAFKA,
    "tickgate worker --drain": ON_KAFKA,
    "tickgate feed polygon --tickers AAPL,MSFT": f"{FEEDS}test_polygon_runs_as_the_readme_says",
    "tickgate feed coinbase --products BTC-USD,ETH-USD": f"{FEEDS}test_coinbase_runs_as_the_readme_says",
    "tickgate feed file ticks.csv --speed 600": f"{FEEDS}test_a_file_is_sent_as_the_readme_says",
    "tickgate feed clock --every-ms 1000 --count 2": ON_KAFKA,
    "tickgate strategies export --out standing.jsonl": ON_KAFKA,
    "tickgate flags set per_ticker_throttle false --percentage 10 --reason canary": ON_KAFKA,
    "tickgate flags show": ON_KAFKA,
    "tickgate flags history": ON_KAFKA,
    'tickgate strategies pause breakout --reason "too loud"': ON_KAFKA,
    "tickgate strategies activate breakout": ON_KAFKA,
    "tickgate strategies edit breakout --timeframe 1m --universe AAPL,MSFT,NVDA": ON_KAFKA,
    "tickgate strategies show breakout": ON_KAFKA,
    "tickgate strategies list --status paused": ON_KAFKA,
    "tickgate strategies delete breakout --dry-run": ON_KAFKA,
    "SCHEMA=schemas/execution.avsc .venv/bin/python consume.py": ON_KAFKA,
    ".venv/bin/python my_worker.py": CONSUMERS,
    ".venv/bin/python examples/worker.py": CONSUMERS,
    "SCHEMAS=schemas .venv/bin/python examples/plain_worker.py": CONSUMERS,
    ".venv/bin/python follow.py": FOLLOWED,
    "tickgate record --from 2025-10-09T08:00:00Z --to 2025-10-09T10:00:00Z --out monday": AS_IT_WAS,
    "tickgate replay --ticks monday --out as-it-was": AS_IT_WAS,
    "tickgate replay --ticks kafka:// --from 2025-10-09T08:00:00Z --to 2025-10-09T10:00:00Z --out the-same": AS_IT_WAS,
    "tickgate state --ticker AAPL --worker http://127.0.0.1:6066": OF_WORKER,
    "tickgate explain breakout AAPL --worker http://127.0.0.1:6066": OF_WORKER,
    "tickgate replay --ticks kafka:// --from 2025-10-09T08:53:22Z --warm-up-from changelogs --out later": WARM_UP,
    "tickgate replay --ticks ticks.csv --strategies strategies.jsonl --out day --speed 60x": PACED,
    "docker compose up --wait": "tests/deploy/test_compose.py::test_two_workers_share_the_work",
    "tickgate flags set shadow true": ROLLOUT,
    'tickgate rollout back --reason "staging first"': ROLLOUT,
    "tickgate rollout status": ROLLOUT,
    "tickgate rollout advance --least-alerts 10 --least-hours 0": ROLLOUT,
    "tickgate rollout watch --back-on-refusal --every-s 60 --count 1": ROLLOUT,
    "tickgate rollout back --all": ROLLOUT,
    "tickgate universe show": UNIVERSE,
    "tickgate universe run --once": UNIVERSE,
    "tickgate proposals run --drain": PROPOSALS,
    "tickgate strategies sync --create --adopt": SYNC,
    "tickgate strategies sync": SYNC,
    "tickgate redis follow --drain": REDIS,
    "tickgate redis reconcile --dry-run --settle-s 0": REDIS,
    "tickgate redis reconcile --settle-s 0 --remove-left-over": REDIS,
    "./dev demo": "tests/test_demo.py::test_the_demo_shows_executions_and_ends",
}
"""Any other command of the README, and the test that shows it works, as `path::function`."""

SAMPLE = """
# Sample
```jsonl data/strategies.jsonl
{"strategy_id": "s1"}
{"strategy_id": "s2"}
```
Then:
```console
$ ./dev test
$ wc -l \\
    data/strategies.jsonl
2 data/...
$ cat data/strategies.jsonl
...
{"strategy_id": "s2"}
```
```json
{"no": "command"}
```
"""


def found_in(markdown: str, folder: Path, proven_by: Mapping[str, str] | None = None) -> list[str]:
    """Hold a README made up here to its word."""
    return list(problems(markdown, folder, ("cat", "wc", "sh"), {"./dev test": "CI"}, proven_by or {}))


def console(*lines: str) -> str:
    """Write a README of one block."""
    return "\n".join(["```console", *lines, "```", ""])


def test_readme_keeps_its_word(tmp_path: Path) -> None:
    markdown = (ROOT / "README.md").read_text()
    assert list(problems(markdown, tmp_path, RUNNABLE, ELSEWHERE, PROVEN_BY)) == []


def test_commands_outputs_and_files_are_found() -> None:
    assert [tuple(step) for step in steps(SAMPLE)] == [
        ("./dev test", ()),
        ("wc -l data/strategies.jsonl", ("2 data/...",)),
        ("cat data/strategies.jsonl", ("...", '{"strategy_id": "s2"}')),
    ]
    assert example_files(SAMPLE) == {"data/strategies.jsonl": '{"strategy_id": "s1"}\n{"strategy_id": "s2"}\n'}


def test_a_true_readme_passes(tmp_path: Path) -> None:
    assert found_in(SAMPLE, tmp_path) == []


def test_a_command_that_fails_is_reported(tmp_path: Path) -> None:
    (found,) = found_in(console("$ cat missing.jsonl"), tmp_path)
    assert found.startswith("cat missing.jsonl: exit code 1: ")


@pytest.mark.parametrize("output", [["3 ..."], ["2 data/strategies.jsonl", "more"], ["2 data"]])
def test_an_output_that_differs_is_reported(tmp_path: Path, output: list[str]) -> None:
    sample = SAMPLE.replace("2 data/...", "\n".join(output))
    assert [found.partition(":")[0] for found in found_in(sample, tmp_path)] == ["wc -l data/strategies.jsonl"]


def test_outputs_out_of_order_are_reported(tmp_path: Path) -> None:
    assert found_in(console("$ sh -c 'echo a; echo b'", "a", "b"), tmp_path) == []
    assert len(found_in(console("$ sh -c 'echo a; echo b'", "b", "a"), tmp_path)) == 1


def test_a_command_that_no_test_runs_is_reported(tmp_path: Path) -> None:
    assert found_in(console("$ ./dev bench --quick"), tmp_path) == ["no test runs this: ./dev bench --quick"]


@pytest.mark.parametrize("markdown", ["```sh\n./dev test\n```\n", "```\n$ cat x\n```\n", "As in:\n\n    $ cat x\n"])
def test_a_command_outside_a_console_block_is_reported(tmp_path: Path, markdown: str) -> None:
    (found,) = found_in(markdown, tmp_path)
    assert found.startswith("mark the block as console: ")


def test_a_proof_must_exist_and_be_needed(tmp_path: Path) -> None:
    here = "tests/house/test_readme.py"
    shown = console("$ ./dev demo")
    assert found_in(shown, tmp_path, {"./dev demo": f"{here}::test_a_true_readme_passes"}) == []
    assert found_in("", tmp_path, {"./dev demo": f"{here}::test_a_true_readme_passes"}) == [
        "no longer in the README: ./dev demo"
    ]
    for node in (f"{here}::test_gone", f"{here}::console", "tests/house/gone.py::test_x", here):
        assert found_in(shown, tmp_path, {"./dev demo": node}) == [f"no such test: {node}"]
