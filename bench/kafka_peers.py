"""The peers: brought once into the cache folder, then run as programs of their own. One that cannot be had says why."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from bench.kafka_ground import RunError, finished, last_words
from streams.kafka.kafka_jars import Unavailable, cache_folder, find_java

HERE: Final = Path(__file__).with_name("peers")
JAVA: Final = HERE / "kafka-streams"
BRING_TIMEOUT_S: Final = 900
RESULT: Final = '{"peer"'
"""How the line with the result begins."""


class Job(NamedTuple):
    """What a peer is given to do."""

    bootstrap: str
    topic: str
    strategies: Path
    ticks: int
    scratch: Path
    """A folder for its state."""


class PeerSaid(NamedTuple):
    """What a peer prints."""

    rate: float
    pairs: int


def run_peer(command: list[str], job: Job, **more: str) -> PeerSaid:
    """Run a peer to its end."""
    with tempfile.TemporaryDirectory(dir=job.scratch) as folder:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environment = {**kept, "TMPDIR": folder, "DATADIR": folder, **more}
        return said_by(finished(command, environment, cwd=HERE))


def said_by(printed: str) -> PeerSaid:
    """The last line that a peer printed, read."""
    _, begin, rest = printed.rpartition(RESULT)  # what dresses up a terminal may stand before it on the line
    if not begin:
        raise RunError(f"printed no result: {last_words(printed)}")
    found = json.loads((begin + rest).splitlines()[0])
    return PeerSaid(float(found["rate"]), int(found["pairs"]))


class KafkaStreams(NamedTuple):
    """The peer in Java."""

    java: str
    folder: Path

    def run(self, job: Job, guarantee: str, threads: int) -> PeerSaid:
        """One run."""
        options = ["-Xmx2g", f"-Djava.io.tmpdir={job.scratch}", "-cp", f"{self.folder}/out:{self.folder}/libs/*"]
        work = [job.bootstrap, job.topic, str(job.strategies), str(job.ticks), guarantee, str(threads)]
        return run_peer([self.java, *options, "Peer", *work], job)


class PythonPeer(NamedTuple):
    """A peer in Python, in an environment of its own."""

    python: Path

    def quix(self, job: Job, guarantee: str) -> PeerSaid:
        """One run of Quix Streams."""
        work = [job.bootstrap, job.topic, str(job.strategies), str(job.ticks), guarantee]
        return run_peer([str(self.python), "quix_peer.py", *work], job)

    def faust(self, job: Job) -> PeerSaid:
        """One run of Faust."""
        command = [str(self.python), "-m", "faust", "-A", "faust_peer", "worker", "-l", "warn", "--without-web"]
        work = {"BROKER": job.bootstrap, "TOPIC": job.topic, "STRATEGIES": str(job.strategies)}
        return run_peer(command, job, TICKS=str(job.ticks), PYTHONDONTWRITEBYTECODE="1", **work)


def kafka_streams(settings: Mapping[str, str]) -> KafkaStreams:
    """Find Java, and have the jars and the peer ready; raises `Unavailable`."""
    java = find_java(settings)
    pom, source = JAVA / "pom.xml", JAVA / "src" / "Peer.java"

    def build(folder: Path) -> None:
        maven, javac = _tool("mvn", settings), _tool("javac", settings)
        _do([maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={folder / 'libs'}"])
        _do([javac, "-cp", f"{folder / 'libs'}/*", "-d", str(folder / "out"), str(source)])

    return KafkaStreams(java, _brought("kafka-streams", [pom, source], settings, build))


def python_peer(name: str, settings: Mapping[str, str]) -> PythonPeer:
    """Have an environment with the peer's pinned packages; raises `Unavailable`."""
    requirements = HERE / f"requirements-{name}.txt"

    def build(folder: Path) -> None:
        _do([sys.executable, "-m", "venv", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
        _do([*pip, "--require-hashes", "--requirement", str(requirements)])

    python = "py{}.{}".format(*sys.version_info)
    return PythonPeer(_brought(f"{name}-{python}", [requirements], settings, build) / "bin" / "python")


def _tool(name: str, settings: Mapping[str, str]) -> str:
    found = shutil.which(name, path=settings.get("PATH"))
    if found is None:
        raise Unavailable(f"no {name} on the path")
    return found


def _brought(name: str, made_from: list[Path], settings: Mapping[str, str], build: Callable[[Path], None]) -> Path:
    """The folder that `build` fills, under a name that changes with what it is made from; made at most once."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in made_from)).hexdigest()
    folder = cache_folder(settings) / "peers" / f"{name}-{digest[:12]}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_name(f"{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.is_dir():
                with tempfile.TemporaryDirectory(dir=folder.parent, prefix="new-") as scratch:
                    build(Path(scratch, "made"))
                    Path(scratch, "made").rename(folder)
    except OSError as error:
        raise Unavailable(f"the cache {folder.parent} cannot be used: {error.strerror}") from error
    return folder


def _do(command: list[str]) -> None:
    """One step of the making."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=BRING_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{Path(command[0]).name} was not done after {BRING_TIMEOUT_S} s") from error
    if done.returncode != 0:
        said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        why = next((line for line in said if "ERROR" in line), said[-1] if said else "it did not say why")
        raise Unavailable(f"{Path(command[0]).name}: {why}")
