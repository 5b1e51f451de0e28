"""The image and the compose file, as far as they can be looked at without Docker."""

import json
import re
import shlex
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from streams.cli import main
from streams.settings import KNOWN, PREFIX
from streams.trader.policy_file import read_policy
from streams.universes.universe_file import read_universe_file
from tests.house.tree import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text().replace("\\\n", " ")
ENTRYPOINT = (ROOT / "deploy/entrypoint.sh").read_text()
AROUND = {
    "redis-view": "redis",
    "strategies-sync": "database",
    "proposals": "proposals",
    "universe": "universe",
    "polygon": "polygon",
    "coinbase": "coinbase",
}
"""What stands around the worker, and the profile that brings each."""

VARIABLES = {known.variable for known in KNOWN.values()}


def instructions(word: str) -> list[str]:
    """What follows an instruction, wherever it stands."""
    return [line.partition(" ")[2].strip() for line in DOCKERFILE.splitlines() if line.startswith(f"{word} ")]


def defaults(text: str) -> str:
    """The text as compose has it where the user has set nothing."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def refuse_unknown(arguments: list[str]) -> None:
    """Parse the arguments of `tickgate`, and run nothing."""
    command: click.Command = main
    context = click.Context(main)
    while isinstance(command, click.Group):
        name = arguments.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"there is no command {name}"
        command = found
    command.make_context(command.name, arguments)


def test_the_services_are_those_of_a_whole_system() -> None:
    assert {name for name, service in SERVICES.items() if "profiles" not in service} == {
        *("kafka", "setup", "worker", "feed"),
    }
    assert set(OURS) == {"setup", "worker", "feed", *AROUND}
    assert SERVICES["worker"]["deploy"]["replicas"] == 2


def test_what_stands_around_comes_by_profile_with_what_it_needs() -> None:
    assert {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service} == {
        **{name: [profile] for name, profile in AROUND.items()},
        "redis": ["redis"],
        "postgres": ["database"],
        "prometheus": ["metrics"],
    }


@pytest.mark.parametrize("name", OURS)
def test_a_service_sets_only_what_can_be_set(name: str) -> None:
    ours = {variable for variable in OURS[name]["environment"] if variable.startswith(PREFIX)}
    assert ours
    assert ours <= VARIABLES


def test_the_image_sets_only_what_can_be_set() -> None:
    ours = set(re.findall(rf"\b{PREFIX}\w+", " ".join(instructions("ENV"))))
    assert ours == {"TICKGATE_KERNEL_CACHE", "TICKGATE_WEB_HOST"}
    assert ours <= VARIABLES


@pytest.mark.parametrize("name", ["worker", "feed", *AROUND])
def test_a_service_runs_a_command_that_exists(name: str) -> None:
    refuse_unknown([defaults(word) for word in OURS[name]["command"]])


def test_every_step_of_the_setup_is_a_command_that_exists() -> None:
    (script,) = SERVICES["setup"]["command"]
    steps = [shlex.split(line) for line in script.splitlines()]
    assert [step[:3] for step in steps] == [
        ["tickgate", "topics", "apply"],
        ["tickgate", "feed", "strategies"],
        ["tickgate", "strategies", "import"],
    ]
    for step in steps:
        refuse_unknown(step[1:])


def test_what_the_image_runs_unless_told_otherwise_exists() -> None:
    (command,) = instructions("CMD")
    refuse_unknown(yaml.safe_load(command))
    assert ENTRYPOINT.rstrip().endswith('exec tickgate "$@"')


def test_everything_waits_for_what_it_needs() -> None:
    waits = {
        name: {on: what["condition"] for on, what in service["depends_on"].items()} for name, service in OURS.items()
    }
    assert waits == {
        "setup": {"kafka": "service_healthy"},
        "worker": {"setup": "service_completed_successfully"},
        "feed": {"worker": "service_healthy"},
        "redis-view": {"setup": "service_completed_successfully", "redis": "service_healthy"},
        "strategies-sync": {"setup": "service_completed_successfully", "postgres": "service_healthy"},
        "proposals": {"setup": "service_completed_successfully"},
        "universe": {"setup": "service_completed_successfully"},
        "polygon": {"worker": "service_healthy"},
        "coinbase": {"worker": "service_healthy"},
    }
    assert all("healthcheck" in SERVICES[name] for name in ("redis", "postgres", *AROUND))
    assert "healthcheck" in SERVICES["kafka"]
    assert "/readyz" in str(SERVICES["worker"]["healthcheck"]["test"])


@pytest.mark.parametrize("name", OURS)
def test_a_service_can_do_no_more_than_it_must(name: str) -> None:
    service = OURS[name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]  # noqa: S108 - a folder of the container
    assert service["cap_drop"] == ["ALL"]
    assert "privileged" not in service


def test_nothing_is_published_beyond_this_machine() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_files_that_come_along_can_be_read(tmp_path: Path) -> None:
    settings = ROOT / "deploy/settings"
    policy = read_policy(settings / "policy.yaml")
    assert policy.min_conviction == 0.28
    file = read_universe_file(settings / "universe.yaml")
    assert (file.metrics_host, file.metrics_port) == ("0.0.0.0", 8_000)  # noqa: S104 - within its container
    made = tmp_path / "strategies.jsonl"
    assert CliRunner().invoke(main, ["feed", "strategies", str(made)]).exit_code == 0
    ids = {json.loads(line)["strategy_id"] for line in made.read_text().splitlines()}
    assert {each for rule in file.rules for each in rule.strategies} <= ids
    for name in ("proposals", "universe"):
        assert SERVICES[name]["volumes"] == ["./deploy/settings:/etc/tickgate:ro"]
        assert (settings / OURS[name]["command"][-1].removeprefix("/etc/tickgate/")).is_file()


def test_the_image_runs_as_nobody_and_installs_only_what_is_pinned() -> None:
    (user,) = instructions("USER")
    assert user == "10001:10001"
    installs = [step for run in instructions("RUN") for step in run.split("&&") if "pip install" in step]
    assert len(installs) == 3
    assert sum("--require-hashes" in step for step in installs) == 2
    assert sum("--no-deps wheel/" in step for step in installs) == 1


def test_both_stages_stand_on_the_base_that_was_asked_for() -> None:
    assert [stage.partition(" ")[0] for stage in instructions("FROM")] == ["${BASE_IMAGE}"] * 2
    assert instructions("ARG") == [f"BASE_IMAGE={defaults(OURS['worker']['build']['args']['BASE_IMAGE'])}"]


def test_what_builds_the_wheel_is_picked_whole() -> None:
    (names,) = re.findall(r"/\^\(([a-z|-]+)\)==/", DOCKERFILE)
    needed = {re.split(r"[<>=; ]", each)[0] for each in requires("hatchling") or [] if "python_version" not in each}
    assert set(names.split("|")) == {"hatchling", *needed}
    pinned = (ROOT / "requirements/dev.txt").read_text()
    for name in names.split("|"):
        assert re.search(rf"^{name}==", pinned, re.MULTILINE), name


def test_every_file_that_is_copied_is_there_and_is_sent_to_the_builder() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [name for copy in instructions("COPY") if "--from" not in copy for name in copy.split()[:-1]]
    assert set(copied) == sent
    assert all((ROOT / name).exists() for name in copied)


def test_the_kernel_is_compiled_where_the_entry_point_looks_for_it() -> None:
    compiled = re.findall(r"TICKGATE_KERNEL_CACHE=(\S+) \S+ -P -c", DOCKERFILE)
    assert compiled == ["/opt/tickgate/kernel"]
    assert f"cp -r {compiled[0]} " in ENTRYPOINT
    assert (ROOT / "deploy/entrypoint.sh").stat().st_mode & 0o111
