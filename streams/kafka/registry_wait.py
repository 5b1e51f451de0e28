"""Work that may ask a registry, which may be down: done in a thread, and begun again for as long as it is."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, TypeVar

from streams.kafka.registry import RegistryDownError

log = logging.getLogger(__name__)

Found = TypeVar("Found")

FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 5.0
"""Between two questions to a registry that is down."""


async def patiently(work: Callable[[], Found], topic: str) -> Found:
    """What the work returns, once the registry has answered all that it asks."""
    wait_s = FIRST_WAIT_S
    while True:
        try:
            return await asyncio.to_thread(work)
        except RegistryDownError as error:
            log.warning("%s waits for the registry: %s", topic, error)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
