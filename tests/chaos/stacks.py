"""Where a worker of a crash run stands, in all its threads and tasks: it says so when it is asked by a signal."""

import asyncio
import faulthandler
import gc
import signal
import sys
from typing import Final

ASK: Final = signal.SIGUSR1


def tell_when_asked() -> None:
    """From now on."""
    signal.signal(ASK, _tell)


def _tell(_signal: int, _frame: object) -> None:
    faulthandler.dump_traceback(sys.stderr)
    for task in [each for each in gc.get_objects() if isinstance(each, asyncio.Task)]:
        if not task.done():
            task.print_stack(file=sys.stderr)
    sys.stderr.flush()
