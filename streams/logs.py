"""How a process logs: to the standard error stream, others only what is grave."""

import logging
import sys
from typing import Final

OF_OTHERS: Final = ("faust", "mode", "aiokafka", "kafka", "numba", "asyncio", "httpx", "httpx2")
OF_SERVICES: Final = ("streams.kafka.faust_app", "streams.kafka.transport", "streams.kafka.tables")
"""Where Faust says of each of its services that it starts."""


def set_up_logging(level: str) -> None:
    """Have it so from now on, for the whole process."""
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(stream=sys.stderr, level=level.upper(), format=form, force=True)
    for name in OF_OTHERS:
        logging.getLogger(name).setLevel(logging.INFO if level == "debug" else logging.ERROR)
    for name in OF_SERVICES:
        logging.getLogger(name).setLevel(logging.INFO if level == "debug" else logging.WARNING)
