"""Where compiled code is kept: one folder for each state of the sources that it is made from.

The compiler's own cache looks only at the file a function stands in. A limit that changes in another file,
or two columns that change places, would leave old machine code in use, with wrong answers. So the folder is
named by a hash over all of the core, and over the compiled files beside it. This must be said before the
compiler is first used, which is why importing `streams` says it.
"""

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SETTING: Final = "TICKGATE_KERNEL_CACHE"
COMPILER_SETTING: Final = "NUMBA_CACHE_DIR"


SOURCES: Final = ("core/*.py", "*/*_kernel.py")
"""Within the package: the core, and what else is compiled, which leans on nothing but the core."""


def folder(environment: Mapping[str, str], package: Path) -> Path:
    """The folder for this state of the sources, under the one that is set or the user's cache."""
    sources = hashlib.sha256()
    for path in source_files(package):
        sources.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    home = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    base = environment.get(SETTING) or str(Path(home) / "tickgate" / "kernel")
    return Path(base) / sources.hexdigest()[:16]


def source_files(package: Path) -> list[Path]:
    """What compiled code is made from."""
    return sorted({path for pattern in SOURCES for path in package.glob(pattern)})


def use() -> None:
    """Tell the compiler, also where it has been imported already."""
    chosen = str(folder(os.environ, Path(__file__).parent))
    os.environ[COMPILER_SETTING] = chosen
    compiler = sys.modules.get("numba")
    if compiler is not None:
        compiler.config.CACHE_DIR = chosen
