"""A candidate in a process of its own: no other's memory, threads or caches are in its way while it is timed."""

import multiprocessing
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from bench.timing import Candidate


@contextmanager
def apart(make: Callable[..., Candidate], *of: Any) -> Iterator[Candidate]:  # noqa: ANN401 - whatever `make` takes
    """What `make` makes of these, in a process that waits to be told to run it, and ends behind the `with`."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, make, of), daemon=True)
    process.start()
    theirs.close()

    def run(_: object) -> None:
        ours.send(None)
        if trouble := ours.recv():
            raise AssertionError(trouble)

    try:
        yield Candidate(lambda: None, run)
    finally:
        ours.close()
        process.join()


def _serve(told: Connection, make: Callable[..., Candidate], of: tuple[Any, ...]) -> None:
    """Run it whenever we are told to, and say what went wrong; until nobody tells us any more."""
    try:
        candidate = make(*of)
        while True:
            told.recv()
            candidate.run(candidate.prepare())
            told.send("")
    except EOFError:
        return
    except Exception:  # noqa: BLE001 - told where it is waited for
        told.send(traceback.format_exc())
