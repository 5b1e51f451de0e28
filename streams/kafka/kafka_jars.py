"""The jars of Apache Kafka: brought by Maven once, then kept in a cache folder that all checkouts share."""

import fcntl
import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

POM: Final = Path(__file__).with_name("broker_pom.xml")
NEEDED_JAVA: Final = 17
MAVEN_TIMEOUT_S: Final = 900
SERVER_JAR: Final = re.compile(r"kafka_\d+\.\d+-(?P<version>[\d.]+)\.jar")


class Unavailable(Exception):  # noqa: N818 - it is a finding, not a fault: the next kind of broker is tried
    """A kind of broker that cannot be had here; the message says why."""


class KafkaJars(NamedTuple):
    """What to run, and what it is."""

    java: str
    folder: Path
    version: str


def cache_folder(settings: Mapping[str, str]) -> Path:
    """Where what was downloaded is kept."""
    if settings.get("TICKGATE_CACHE"):
        return Path(settings["TICKGATE_CACHE"])
    if settings.get("XDG_CACHE_HOME"):
        return Path(settings["XDG_CACHE_HOME"], "tickgate")
    return Path(settings.get("HOME") or Path.home(), ".cache", "tickgate")


def find_jars(settings: Mapping[str, str]) -> KafkaJars:
    """Make sure that Java and the jars are there. Maven is asked only where the cache does not hold them."""
    java = find_java(settings)
    digest = hashlib.sha256(POM.read_bytes()).hexdigest()
    folder = cache_folder(settings) / f"kafka-{digest[:12]}"
    try:
        if not folder.is_dir():
            _bring(folder, settings)
    except OSError as error:
        message = f"the cache {folder.parent} cannot be used: {error.strerror}; TICKGATE_CACHE names another"
        raise Unavailable(message) from error
    return KafkaJars(java, folder, _version(folder))


def find_java(settings: Mapping[str, str]) -> str:
    """The `java` on the path, if it is new enough."""
    java = shutil.which("java", path=settings.get("PATH"))
    if java is None:
        message = f"no java on the path; Kafka needs Java {NEEDED_JAVA} or newer"
        raise Unavailable(message)
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    said = answer.stderr + answer.stdout
    found = re.search(r'version "(\d+)', said)
    if found is None or int(found[1]) < NEEDED_JAVA:
        named = f"is version {found[1]}" if found else f"does not tell its version: {said.strip()}"
        message = f"{java} {named}; Kafka needs Java {NEEDED_JAVA} or newer"
        raise Unavailable(message)
    return java


def _bring(folder: Path, settings: Mapping[str, str]) -> None:
    """Let Maven fill a folder beside the right one, then rename: whoever sees the folder sees it whole."""
    maven = shutil.which("mvn", path=settings.get("PATH"))
    if maven is None:
        message = f"no mvn on the path, and {folder} does not hold Kafka's jars yet"
        raise Unavailable(message)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():  # another process was first
            return
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="new-") as scratch:
            fresh = Path(scratch, "jars")
            _copy_dependencies(maven, fresh)
            fresh.rename(folder)


def _copy_dependencies(maven: str, target: Path) -> None:
    command = [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={target}"]
    try:
        done = subprocess.run(  # noqa: S603
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=MAVEN_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        message = f"Maven had not brought Kafka's jars after {MAVEN_TIMEOUT_S} s"
        raise Unavailable(message) from error
    if done.returncode != 0:
        message = f"Maven could not bring Kafka's jars: {_first_error(done.stdout + done.stderr)}"
        raise Unavailable(message)


def _first_error(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return next((line for line in lines if "ERROR" in line), " / ".join(lines) or "it did not say why")


def _version(folder: Path) -> str:
    found = (SERVER_JAR.fullmatch(jar.name) for jar in folder.iterdir())
    version = next((match["version"] for match in found if match), None)
    if version is None:
        message = f"{folder} holds no Kafka server; remove the folder, and it is brought again"
        raise Unavailable(message)
    return version
