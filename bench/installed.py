"""A program of the system, for benches and tests: found on the path, or installed where that can be done."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import Final

from streams.kafka.kafka_jars import Unavailable, cache_folder

INSTALL_TIMEOUT_S: Final = 400


def found_or_installed(names: Sequence[str], *packages: str) -> str:
    """The path of the first of these names that is there. Raises `Unavailable`, which says why there is none."""
    found = _on_the_path(names)
    if found:
        return found
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        message = f"there is no {' or '.join(names)} on the path, and only root with apt-get can install it"
        raise Unavailable(message)
    cache = cache_folder(os.environ)
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _on_the_path(names) or _install(apt, names, packages)


def _on_the_path(names: Sequence[str]) -> str | None:
    return next((path for name in names if (path := shutil.which(name))), None)


def _install(apt: str, names: Sequence[str], packages: Sequence[str]) -> str:
    """Install it; what went wrong is the reason why there is none."""
    said = ""
    for arguments in (("update",), ("install", "--yes", "--no-install-recommends", *packages)):
        try:
            done = subprocess.run(
                [apt, "-qq", *arguments],
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=INSTALL_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired as error:
            message = f"apt-get {arguments[0]} had not ended after {INSTALL_TIMEOUT_S} s"
            raise Unavailable(message) from error
        said = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else said
    found = _on_the_path(names)
    if found is None:
        message = f"apt-get could not install {packages[0]}: {said}"
        raise Unavailable(message)
    return found
