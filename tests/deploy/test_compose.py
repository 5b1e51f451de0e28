"""The whole system in containers, where there is Docker and the images are here: nothing is pulled."""

import json
import os
import shutil
import subprocess
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import yaml
from confluent_kafka import Consumer, TopicPartition

from tests.house.tree import ROOT
from tests.ports import free_ports

PARTITIONS = 8
UP_TIMEOUT_S = 600


class System(NamedTuple):
    """A system that is up."""

    project: str
    environment: dict[str, str]
    kafka_port: int
    worker_ports: tuple[int, int]


def docker(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=UP_TIMEOUT_S,
        check=False,
    )


def what_is_missing(images: list[str]) -> str:
    """Why the system cannot be brought up here; empty where it can."""
    if shutil.which("docker") is None:
        return "there is no docker on the path"
    if docker("info", "--format", "{{.ServerVersion}}").returncode:
        return "the Docker daemon does not answer"
    if docker("compose", "version").returncode:
        return "docker has no compose"
    for image in images:
        if docker("image", "inspect", image).returncode:
            return f"the image {image} is not here, and nothing is pulled; BASE_IMAGE and KAFKA_IMAGE name others"
    return ""


def images_of_compose() -> list[str]:
    """The base of ours, and Kafka's, as the environment says or the file does."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    texts = (services["worker"]["build"]["args"]["BASE_IMAGE"], services["kafka"]["image"])
    named = [text.removeprefix("${").removesuffix("}").split(":-", 1) for text in texts]
    return [os.environ.get(variable) or default for variable, default in named]


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    """Bring everything up, and take it down after."""
    missing = what_is_missing(images_of_compose())
    if missing:
        pytest.skip(f"needs Docker with its images: {missing}")
    kafka, *workers = free_ports(3)
    project = f"tickgate-test-{uuid.uuid4().hex[:8]}"
    asked = {"KAFKA_PORT": str(kafka), "WORKER_PORTS": f"{workers[0]}-{workers[1]}", "FEED_RATE": "500"}
    environment = {**os.environ, **asked, "TICKGATE_IMAGE": project, "COMPOSE_PROJECT_NAME": project}
    try:
        up = docker("compose", "up", "--build", "--detach", "--wait", environment=environment)
        logs = docker("compose", "logs", "--tail", "30", environment=environment).stdout if up.returncode else ""
        assert up.returncode == 0, up.stderr[-3_000:] + logs
        yield System(project, environment, kafka, (workers[0], workers[1]))
    finally:
        docker("compose", "down", "--volumes", "--timeout", "15", environment=environment)
        docker("image", "rm", "--force", project)


def ready(port: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
        report: dict[str, Any] = json.load(answer)
    return report


def test_two_workers_share_the_work(system: System) -> None:
    reports = [ready(port) for port in system.worker_ports]
    owned = [sorted(shard["partition"] for shard in report["shards"]) for report in reports]
    assert all(owned)
    assert sorted(owned[0] + owned[1]) == list(range(PARTITIONS))
    options = {"bootstrap.servers": f"127.0.0.1:{system.kafka_port}", "group.id": "test", "enable.auto.commit": False}
    consumer = Consumer({**options, "isolation.level": "read_committed"})
    consumer.assign([TopicPartition("alert-executions", partition, 0) for partition in range(PARTITIONS)])
    try:
        message = consumer.poll(60)
        assert message is not None, "an execution comes out"
        assert message.error() is None
    finally:
        consumer.close()


def test_workers_and_feed_end_cleanly_when_told_to(system: System) -> None:
    assert docker("compose", "stop", "feed", "worker", environment=system.environment).returncode == 0
    ended = docker("compose", "ps", "--all", "--format", "json", environment=system.environment).stdout
    codes = {
        each["Name"]: each["ExitCode"] for each in map(json.loads, ended.splitlines()) if each["State"] == "exited"
    }
    assert len(codes) == 4  # setup, the feed, and two workers
    assert set(codes.values()) == {0}
