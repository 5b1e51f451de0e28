"""The group's coordinator asks again after an error, where aiokafka has it wait until somebody polls.

Faust polls what is assigned. A worker that joins while the broker goes away has nothing assigned, never polls, and
never hears of the error: it would wait for ever, and nothing would say so. What it knows of topics may be what it has
come to know while the broker was away, which is nothing; so it asks for that anew too. An answer that a second attempt
would get too ends the worker.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from streams.errors import in_words
from streams.kafka.touched import no_longer_used

log = logging.getLogger(__name__)

AGAIN_S: Final = 0.5

FOR_GOOD: Final = {
    GroupAuthorizationFailedError: "allow this user to read in the group",
    TopicAuthorizationFailedError: "allow this user to read the topic",
    InconsistentGroupProtocolError: "end the other programs in this group, or take another TICKGATE_APP_ID",
    InvalidGroupIdError: "mend TICKGATE_TOPIC_PREFIX or TICKGATE_APP_ID",
    InvalidSessionTimeoutError: "keep TICKGATE_SESSION_TIMEOUT_MS within the broker's group.*.session.timeout.ms",
}
"""What no second attempt mends, and what does."""

_ROUTINE: Final = GroupCoordinator._GroupCoordinator__coordination_routine  # noqa: SLF001 - its name from outside
TOUCHED_NAMES: Final = {
    _ROUTINE: ("_push_error_to_user",),
    GroupCoordinator.reset_generation: ("request_rejoin",),
    GroupCoordinator.ensure_active_group: ("_client", "force_metadata_update"),
}
"""Inside aiokafka: who tells of errors, and how the group is joined anew."""


def moved() -> list[str]:
    """Name what an upgrade has moved; nothing, if this file still fits."""
    return no_longer_used(TOUCHED_NAMES)


class GroupError(Exception):
    """The group will never take this worker; the message says why, and what to do."""


def ask_again(coordinator: Any, end: Callable[[Exception], Awaitable[None]]) -> None:  # noqa: ANN401 - aiokafka's
    """Have a coordinator ask again; `end` hears of what no second attempt mends."""

    async def told(error: KafkaError) -> None:
        remedy = FOR_GOOD.get(type(error))
        if remedy is not None:
            await end(GroupError(f"the group cannot be joined: {in_words(error)}; {remedy}"))
            await asyncio.Event().wait()  # until the worker has ended
        log.warning("the group does not answer as it should, and is asked again: %s", in_words(error))
        await asyncio.sleep(AGAIN_S)
        await coordinator._client.force_metadata_update()  # noqa: SLF001 - see TOUCHED_NAMES
        coordinator.request_rejoin()

    coordinator._push_error_to_user = told  # noqa: SLF001 - see TOUCHED_NAMES
