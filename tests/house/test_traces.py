"""No file names a package registry's host or a folder of the machine it was written on."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.house.tree import ROOT, files_of_the_house, found_by_walking, listed_by_git

# The backslashes keep the patterns from matching themselves.
HOST = re.compile(
    r"\b(pypi\.org|pythonhosted\.org|crates\.io|proxy\.golang\.org|sum\.golang\.org|npmjs\.(org|com)|yarnpkg\.com"
    r"|maven\.(apache\.)?org|repo1\.maven|deb\.debian|security\.debian|archive\.ubuntu|ports\.ubuntu)",
    re.IGNORECASE,
)
FOLDER = re.compile(r"(?<![\w.~}-])/(root|work|workspace|Users|opt/wheels)(?=[/\s\"'`),:;]|$)|(?<![\w.])/home/\w+")

PINNED_LINE = re.compile(r"[a-z0-9][a-z0-9._-]*==\S+( ; .*)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")
LOCK_FILES = ("requirements/run.txt", "requirements/dev.txt")


def traces(text: str) -> list[str]:
    """Name each line that tells too much, with what it tells."""
    return [
        f"{number}: {found.group()}"
        for number, line in enumerate(text.splitlines(), 1)
        for pattern in (HOST, FOLDER)
        if (found := pattern.search(line))
    ]


def in_pieces(*pieces: str) -> str:
    """Join what must not stand here in one piece."""
    return "".join(pieces)


@pytest.mark.parametrize(
    "line",
    [
        in_pieces("https://", "py", "pi.org/simple"),
        in_pieces("files.python", "hosted.org"),
        in_pieces("index = 'https://registry.npm", "js.org/'"),
        in_pieces("<url>https://repo.maven.", "apache.org/maven2</url>"),
        in_pieces("<url>https://repo1.ma", "ven.org/maven2</url>"),
        in_pieces("GOPROXY=https://proxy.", "golang.org"),
        in_pieces("http://DEB.", "debian.org/debian"),
        in_pieces("# see /wo", "rk/main/x"),
        in_pieces("cd /ro", "ot"),
        in_pieces("path = '/ro", "ot/.cache'"),
        in_pieces('File "/ho', 'me/someone/x.py"'),
        in_pieces("--find-links=/opt/", "wheels"),
    ],
)
def test_a_line_that_tells_too_much_is_reported(line: str) -> None:
    assert [each.partition(":")[0] for each in traces(f"fine\n{line}\nfine\n")] == ["2"]


@pytest.mark.parametrize(
    "line",
    [
        "streams/root/x",
        "GET /works",
        "/working/set",
        "a frame/work/b",
        "/rooted",
        "/opt/kafka",
        "${base}/root/x",
    ],
)
def test_other_lines_are_let_be(line: str) -> None:
    assert traces(line) == []


def test_no_file_tells_where_it_was_made() -> None:
    found = []
    for name in files_of_the_house():
        content = (ROOT / name).read_bytes()
        if b"\0" not in content:
            found += [f"{name}:{trace}" for trace in traces(content.decode(errors="replace"))]
    assert found == []


def test_all_files_are_looked_at() -> None:
    assert {"dev", ".ci/run", "pyproject.toml", "LICENSE", "tests/house/tree.py"} <= set(files_of_the_house())


@pytest.mark.parametrize("name", LOCK_FILES)
def test_lock_files_hold_hashes_and_no_addresses(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert [line for line in lines if not PINNED_LINE.fullmatch(line)] == []
    assert sum("==" in line for line in lines) > 10


@pytest.mark.parametrize("line", ["numpy", "numpy>=2", "numpy==2.0", "--index-url x", "-e .", "    --hash=md5:00"])
def test_a_line_that_pins_nothing_is_reported(line: str) -> None:
    assert not PINNED_LINE.fullmatch(line)


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git to compare with")
def test_walking_finds_what_git_lists(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("# ignored:\n.venv/\n*.egg-info/\nout.txt\na/only/here/\n__pycache__/\n")
    kept = ["a/x.py", "a/b/only/here/y", "venv/z", "b/out.txts", ".hidden/h", "only/here"]
    ignored = [".venv/x", "a/__pycache__/x.pyc", "x.egg-info/PKG", "b/out.txt", "a/only/here/z"]
    for name in [*kept, *ignored]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    assert listed_by_git(tmp_path) in (None, [])
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    assert listed_by_git(tmp_path) == found_by_walking(tmp_path) == sorted([".gitignore", *kept])
