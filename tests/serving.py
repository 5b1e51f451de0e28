"""A `tickgate` process that serves its health and metrics, seen from outside."""

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.house.tree import ROOT


@contextmanager
def serving(environment: Mapping[str, str], *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """It, and where it serves, once it does."""
    command = [sys.executable, "-m", "streams.cli", *arguments]
    whole = {**os.environ, **environment}
    process = subprocess.Popen(command, cwd=ROOT, env=whole, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r"metrics at (http://[^/\s]+)", line):
                yield process, found[1]
                return
        raise AssertionError(f"it ended with {process.wait()}")
    finally:
        process.kill()
        process.communicate()


def got(url: str) -> tuple[int, str]:
    """The status of an answer, and what it says."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def samples(metrics: str) -> dict[str, float]:
    """The samples in Prometheus's text, by name and labels as they stand there."""
    lines = (line.rpartition(" ") for line in metrics.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}
