"""Where the compiled kernel is kept: one folder for each state of the core's sources.

The compiler's own cache looks only at the file a function stands in. A limit that changes in another file,
or two columns that change places, would leave old machine code in use, with wrong answers. So the folder is
named by a hash over all of the core. This must be said before the compiler is first used, which is why
importing `streams` says it.
"""

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SETTING: Final = "TICKGATE_KERNEL_CACHE"
COMPILER_SETTING: Final = "NUMBA_CACHE_DIR"


def folder(environment: Mapping[str, str], core: Path) -> Path:
    """The folder for this state of the sources, under the one that is set or the user's cache."""
    sources = hashlib.sha256()
    for path in sorted(core.glob("*.py")):
        sources.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    home = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    base = environment.get(SETTING) or str(Path(home) / "tickgate" / "kernel")
    return Path(base) / sources.hexdigest()[:16]


def use() -> None:
    """Tell the compiler, also where it has been imported already."""
    chosen = str(folder(os.environ, Path(__file__).parent / "core"))
    os.environ[COMPILER_SETTING] = chosen
    compiler = sys.modules.get("numba")
    if compiler is not None:
        compiler.config.CACHE_DIR = chosen
