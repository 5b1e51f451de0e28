"""Where a worker of a crash run stands, in all its threads and tasks: it says so when it is asked by a signal."""

import asyncio
import faulthandler
import gc
import signal
import sys
from collections.abc import Iterator
from typing import Any, Final

ASK: Final = signal.SIGUSR1


def tell_when_asked() -> None:
    """From now on."""
    signal.signal(ASK, _tell)


def _tell(_signal: int, _frame: object) -> None:
    faulthandler.dump_traceback(sys.stderr)
    for task in [each for each in gc.get_objects() if isinstance(each, asyncio.Task) and not each.done()]:
        print(f"Task {task.get_name()}", *places(task.get_coro()), sep="\n  ", file=sys.stderr)  # noqa: T201
    sys.stderr.flush()


def places(awaited: Any) -> Iterator[str]:
    """The lines at which one awaits the other, down to what nobody can look into."""
    while awaited is not None:
        kind = next((kind for kind in ("cr", "gi", "ag") if hasattr(awaited, f"{kind}_frame")), None)
        if kind is None:
            yield type(awaited).__name__
            return
        frame = getattr(awaited, f"{kind}_frame")
        if frame is not None:
            yield f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_qualname}"
        awaited = getattr(awaited, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")
