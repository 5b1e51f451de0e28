"""What the tests of a registry share: one that runs here, a clock for its clients, and what a refusal looks like."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

from streams.kafka.registry import RegistryError, Schemas
from streams.kafka.registry_client import Bounds, RegistrySchemas
from tests.kafka.registry_server import FakeRegistry, running

GUID = UUID("89791762-2336-4186-9674-299b90a802e2")
RETRY_AFTER_S = 10.0
BOUNDS = Bounds(answer_bytes=20_000, schema_characters=5_000, wait_s=5, deadline_s=20, retry_after_s=RETRY_AFTER_S)
TICK = '{"type": "record", "name": "Tick", "fields": []}'

Asking = Callable[..., RegistrySchemas]


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def server() -> Iterator[FakeRegistry]:
    with running() as registry:
        yield registry


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def asking(server: FakeRegistry, clock: Clock) -> Iterator[Asking]:
    """Make clients of the registry: `asking(may_register=True)`."""
    made = []

    def ask(bounds: Bounds = BOUNDS, url: str = "", **more: Any) -> RegistrySchemas:
        made.append(RegistrySchemas({"url": url or server.url}, clock, bounds=bounds, **more))
        return made[-1]

    yield ask
    for each in made:
        each.close()


def refused(schemas: Schemas, ref: int | UUID = 1) -> RegistryError:
    """Ask for a schema that is not to be had."""
    with pytest.raises(RegistryError) as caught:
        schemas.schema(ref)
    assert caught.value.remedy
    assert len(str(caught.value)) < 500, "messages are short, whatever the registry says"
    assert str(caught.value).isprintable()
    return caught.value
