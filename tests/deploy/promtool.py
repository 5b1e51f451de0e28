"""Prometheus' own tool for its files: found on the path, or taken out of the system's package without installing it."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from streams.kafka.kafka_jars import Unavailable, cache_folder

NAME: Final = "promtool"
PACKAGE: Final = "prometheus"
DOWNLOAD: Final = ["apt-get", "-qq", "download", PACKAGE]
TIMEOUT_S: Final = 300


def promtool() -> str:
    """Where it is. Raises `Unavailable`, which says why there is none."""
    kept = cache_folder(os.environ) / NAME
    found = shutil.which(NAME) or (str(kept) if kept.is_file() else None)
    if found:
        return found
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        message = f"there is no {NAME} on the path, and no apt-get to get it with"
        raise Unavailable(message)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.with_name("apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.is_file():
            _unpack(kept)
    return str(kept)


def _unpack(kept: Path) -> None:
    scratch = kept.with_name(f"{NAME}-new")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        problem = _said(DOWNLOAD, scratch)
        if problem and os.geteuid() == 0 and not _said(["apt-get", "-qq", "update"], scratch):
            problem = _said(DOWNLOAD, scratch)
        packages = list(scratch.glob("*.deb"))
        if not packages:
            message = f"apt-get could not download {PACKAGE}: {problem}"
            raise Unavailable(message)
        _said(["dpkg-deb", "--extract", str(packages[0]), "."], scratch)
        (scratch / "usr/bin" / NAME).rename(kept)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _said(command: list[str], folder: Path) -> str:
    """Why a command failed; empty where it did not."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"not done after {TIMEOUT_S} s"
    return (done.stderr.strip() or "it did not say why").splitlines()[-1] if done.returncode else ""
