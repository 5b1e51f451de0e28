"""A process that makes proposals, and ends or freezes itself at a step.

    python -m tests.trader.proposals_worker POLICY

CHAOS_PLAN says where, as for `tests/chaos/worker.py`; CHAOS_DRAIN=1 makes it one that ends when all is done.
"""

import asyncio
import json
import logging
import os
import sys
from pathlib import Path

from streams.settings import Settings
from streams.trader.running import run
from tests.chaos.observer import Observer
from tests.chaos.plan import DRAIN, PLAN, read


def main() -> None:
    """Run it."""
    logging.basicConfig(level="INFO")
    observer = Observer(read(os.environ.get(PLAN, "")))
    drain = os.environ.get(DRAIN) == "1"
    done = asyncio.run(run(Settings.read(os.environ), Path(sys.argv[1]), drain=drain, observe=observer))
    sys.stdout.write(f"{json.dumps(done)}\n")


if __name__ == "__main__":
    main()
