"""A worker that ends or freezes itself at a step of a checkpoint: `python -m tests.chaos.worker`.

CHAOS_PLAN says where: `rows_sent:3:KILL` is the third time that any shard's rows have been sent. It says so on standard
output before it does it. Without a plan it is a worker as any other; CHAOS_DRAIN=1 makes it one that ends when all is
done. All else is read from the environment as the real one reads it.
"""

import os

from streams.process import end
from streams.settings import Settings
from streams.worker import run_worker
from tests.chaos.observer import Observer
from tests.chaos.plan import DRAIN, PLAN, read
from tests.chaos.stacks import tell_when_asked


def main() -> None:
    """Run it."""
    tell_when_asked()
    settings = Settings.read(os.environ)
    drain = os.environ.get(DRAIN) == "1"
    end(run_worker(settings, drain=drain, observe=Observer(read(os.environ.get(PLAN, "")))))


if __name__ == "__main__":
    main()
