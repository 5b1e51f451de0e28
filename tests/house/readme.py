"""Takes the commands out of a README and runs them, so that what it shows stays true.

A fenced block marked `console` holds commands, each after `$ `, and under each what it prints: those lines must
come in that order, others may stand between them, and `...` stands for anything. A block marked with a language
and a file name, as in `jsonl strategies.jsonl`, is an example file, and is there when the commands run.
"""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.house.tree import ROOT, parsed

FENCE = re.compile(r"^```(?P<language>\S*)[ ]*(?P<name>\S*)[^\n]*\n(?P<text>.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)
SHELLS = frozenset({"bash", "sh", "shell", "shell-session", "shellsession", "zsh"})
TIMEOUT_S = 120


class Step(NamedTuple):
    """One command, and what the README says it prints."""

    command: str
    output: tuple[str, ...]


def steps(markdown: str) -> list[Step]:
    """Every command in a `console` block, in order; a backslash joins it with the next line."""
    found: list[Step] = []
    for block in FENCE.finditer(markdown):
        if block["language"] != "console":
            continue
        for line in block["text"].replace("\\\n", "").splitlines():
            if line.startswith("$ "):
                found.append(Step(" ".join(line[2:].split()), ()))
            elif found and line.strip():
                found[-1] = found[-1]._replace(output=(*found[-1].output, line.rstrip()))
    return found


def example_files(markdown: str) -> dict[str, str]:
    """Every block that has a file name, by that name."""
    return {block["name"]: block["text"] for block in FENCE.finditer(markdown) if block["name"]}


def hidden_commands(markdown: str) -> list[str]:
    """Commands that stand where nobody would run them: in a block that is not marked `console`."""
    found = [f"a block is marked {each['language']}" for each in FENCE.finditer(markdown) if each["language"] in SHELLS]
    consoles = (block.group() for block in FENCE.finditer(markdown) if block["language"] == "console")
    for console in consoles:
        markdown = markdown.replace(console, "")
    return [*found, *(line.strip() for line in markdown.splitlines() if line.strip().startswith("$ "))]


def is_a_test(node: str) -> bool:
    """Tell whether `path::function` names a test."""
    path, _, name = node.partition("::")
    if not (ROOT / path).is_file():
        return False
    tree = parsed((ROOT / path).read_text())
    return name.startswith("test_") and any(
        isinstance(each, ast.FunctionDef) and each.name == name for each in tree.body
    )


def problems(
    markdown: str, folder: Path, runnable: tuple[str, ...], elsewhere: Mapping[str, str], proven_by: Mapping[str, str]
) -> Iterator[str]:
    """Hold a README to its word, in a scratch folder.

    A command is run here if its first word is `runnable`, or else is run `elsewhere`, or is `proven_by` a test.
    """
    yield from (f"mark the block as console: {command}" for command in hidden_commands(markdown))
    for name, text in example_files(markdown).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    commands = steps(markdown)
    for step in commands:
        if step.command in elsewhere or step.command in proven_by:
            continue
        if step.command.partition(" ")[0] in runnable:
            yield from run(step, folder)
        else:
            yield f"no test runs this: {step.command}"
    shown = {step.command for step in commands}
    yield from (f"no longer in the README: {command}" for command in proven_by if command not in shown)
    yield from (f"no such test: {node}" for node in proven_by.values() if not is_a_test(node))


def run(step: Step, folder: Path) -> Iterator[str]:
    """Run one command in the scratch folder, where `.venv` is the one the tests run in."""
    venv = folder / ".venv"
    if not venv.is_symlink():
        venv.symlink_to(sys.prefix)
    path = f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-euc", step.command],
        cwd=folder,
        env={**os.environ, "PATH": path, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    if done.returncode != 0:
        yield f"{step.command}: exit code {done.returncode}: {done.stderr.strip()}"
        return
    printed = iter(done.stdout.splitlines())
    for expected in step.output:
        pattern = ".*".join(re.escape(piece) for piece in re.split(r"\.\.\.|…", expected))
        if pattern != ".*" and not any(re.fullmatch(pattern, line.rstrip()) for line in printed):
            yield f"{step.command}: does not print {expected!r}, or not there; it printed:\n{done.stdout}"
            return
