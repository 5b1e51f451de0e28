"""Schemas by id: the contract that files and a registry share, and how seldom a registry is asked."""

import asyncio
import json
import threading
from typing import Any
from uuid import UUID

import pytest

from streams.kafka import registry_client
from streams.kafka.registry import (
    MAX_SCHEMA_ID,
    FileSchemas,
    OwnSchema,
    RegistryDownError,
    Schemas,
    UnknownSchemaError,
    UnusableSchemaError,
    newest,
    own_schemas,
)
from streams.kafka.registry_client import ClientMovedError, RegistrySchemas
from streams.kafka.schema_source import open_schemas
from tests.kafka.registry.conftest import BOUNDS, GUID, RETRY_AFTER_S, TICK, Asking, Clock, refused
from tests.kafka.registry_server import FakeRegistry, Handler

NOBODYS = 4242


@pytest.fixture(params=["files", "registry"])
def schemas(request: pytest.FixtureRequest, asking: Asking, server: FakeRegistry) -> Schemas:
    """Our own schemas, in files and in a registry."""
    if request.param == "files":
        return FileSchemas()
    for own in own_schemas():
        server.add(own.text, own.schema_id, subject=own.subject)
    return asking()


# The contract.


def test_every_schema_of_ours_is_found_by_its_id(schemas: Schemas) -> None:
    for own in own_schemas():
        assert schemas.schema(own.schema_id) == json.loads(own.text)


def test_the_event_loop_gets_the_same(schemas: Schemas) -> None:
    for own in own_schemas():
        assert asyncio.run(schemas.aschema(own.schema_id)) == json.loads(own.text)


def test_every_record_is_written_with_the_id_of_its_schema(schemas: Schemas) -> None:
    assert {own.name: schemas.id_of(own.name) for own in own_schemas()} == {
        "tick": 1,
        "strategy_change": 2,
        "execution": 3,
        "result": 4,
        "proposal": 5,
        "control": 6,
        "clock": 7,
        "dead_letter": 8,
        "decision": 9,
        "journal": 10,
        "turn": 11,
        "conviction_change": 12,
        "conviction_state": 13,
    }


@pytest.mark.parametrize("ref", [NOBODYS, -1, 0, MAX_SCHEMA_ID, MAX_SCHEMA_ID + 1, (1 << 32) - 1, GUID])
def test_a_schema_that_nobody_registered_is_unknown(schemas: Schemas, ref: int | UUID) -> None:
    error = refused(schemas, ref)
    assert type(error) is UnknownSchemaError
    assert str(ref) in error.problem
    with pytest.raises(UnknownSchemaError, match=str(ref)):
        asyncio.run(schemas.aschema(ref))


def test_a_record_that_is_not_ours_has_no_id(schemas: Schemas) -> None:
    with pytest.raises(UnknownSchemaError, match="no schema file for 'candle'"):
        schemas.id_of("candle")


# Files.


def test_the_newest_version_is_written_and_all_are_read() -> None:
    versions = [OwnSchema(k, "ticks-value", version, "tick", f'"v{k}"') for k, version in [(1, 1), (12, 3), (9, 2)]]
    schemas = FileSchemas(versions)
    assert schemas.id_of("tick") == 12
    assert [schemas.schema(k) for k in (1, 9, 12)] == ["v1", "v9", "v12"]


def test_without_an_address_schemas_come_from_the_files(clock: Clock) -> None:
    assert isinstance(open_schemas("", clock), FileSchemas)


def test_with_an_address_schemas_come_from_the_registry(server: FakeRegistry, clock: Clock) -> None:
    schemas = open_schemas(server.url, clock, prefix="w7.", may_register=True)
    assert isinstance(schemas, RegistrySchemas)
    assert schemas.id_of("tick") == 1
    assert list(server.subjects) == ["w7.ticks-value"]
    schemas.close()


# What is kept.


def test_a_schema_is_asked_for_once(server: FakeRegistry, asking: Asking) -> None:
    server.add(TICK, 7)
    schemas = asking()
    assert schemas.schema(7) == schemas.schema(7) == asyncio.run(schemas.aschema(7)) == json.loads(TICK)
    assert server.asked == ["GET /schemas/ids/7"]


def test_a_guid_is_asked_for_by_its_own_address(server: FakeRegistry, asking: Asking) -> None:
    server.guids[GUID] = server.add(TICK)
    assert asking().schema(GUID) == json.loads(TICK)
    assert server.asked == [f"GET /schemas/guids/{GUID}"]


@pytest.mark.parametrize("more", [None, {"schemaType": "PROTOBUF"}])
def test_a_no_is_kept_for_a_while_and_then_asked_again(
    server: FakeRegistry, asking: Asking, clock: Clock, more: dict[str, str] | None
) -> None:
    if more is not None:
        server.add(TICK, 7, **more)
    schemas = asking()
    first = refused(schemas, 7)
    server.add(TICK, 7)
    clock.now_s += RETRY_AFTER_S - 0.001
    again = refused(schemas, 7)
    assert (type(again), str(again)) == (type(first), str(first))
    assert server.asked == ["GET /schemas/ids/7"]
    clock.now_s += 0.001
    assert schemas.schema(7) == json.loads(TICK)
    assert len(server.asked) == 2


def test_what_is_kept_has_a_bound_and_many_noes_do_not_push_out_what_was_found(
    server: FakeRegistry, asking: Asking
) -> None:
    for k in (1, 2, 3):
        server.add(TICK, k)
    schemas = asking(BOUNDS._replace(found_kept=2, missed_kept=2))
    for k in (1, 2):
        schemas.schema(k)
    for k in (101, 102, 103):
        refused(schemas, k)
    asked = len(server.asked)
    schemas.schema(2)
    schemas.schema(1)
    refused(schemas, 103)
    assert len(server.asked) == asked
    schemas.schema(3)  # for which 2, not asked for longest, has to go
    schemas.schema(1)
    assert len(server.asked) == asked + 1
    schemas.schema(2)
    refused(schemas, 101)
    assert server.asked[asked + 1 :] == ["GET /schemas/ids/2", "GET /schemas/ids/101"]


def test_the_client_keeps_nothing_beside_us(server: FakeRegistry, asking: Asking) -> None:
    schemas = asking(BOUNDS._replace(found_kept=1))
    for k in (1, 2):
        server.add(TICK, k)
        schemas.schema(k)
    schemas.schema(1)
    assert len(server.asked) == 3


def test_an_id_past_what_a_registry_gives_is_not_even_asked_for(server: FakeRegistry, asking: Asking) -> None:
    server.behaviour = lambda handler: handler.say(404, b"<html>", "text/html")
    schemas = asking()
    for ref in (-1, MAX_SCHEMA_ID + 1):
        assert type(refused(schemas, ref)) is UnknownSchemaError
    assert server.asked == []


# Our own ids.


def test_our_schemas_are_only_registered_where_that_is_allowed(server: FakeRegistry, asking: Asking) -> None:
    with pytest.raises(UnknownSchemaError, match=r"ticks-value.*does not hold our schema.*register schemas/tick\.avsc"):
        asking().id_of("tick")
    assert server.subjects == {}
    assert asking(may_register=True).id_of("tick") == 1
    assert server.subjects == {"ticks-value": {newest("tick").text: 1}}
    schemas = asking()
    assert schemas.id_of("tick") == schemas.id_of("tick") == 1
    assert len(server.asked) == 3


def test_a_subject_with_another_schema_does_not_hold_ours(server: FakeRegistry, asking: Asking) -> None:
    server.add(TICK, subject="ticks-value")
    with pytest.raises(UnknownSchemaError, match="does not hold our schema"):
        asking().id_of("tick")


def test_a_subject_that_refuses_our_schema_is_told(server: FakeRegistry, asking: Asking) -> None:
    server.incompatible.add("ticks-value")
    with pytest.raises(UnusableSchemaError, match=r"ticks-value.*incompatible"):
        asking(may_register=True).id_of("tick")


@pytest.mark.parametrize(
    "answer", [b'{"id": "7"}', b'{"id": -1}', b'{"id": true}', b"{}", b'{"id": 4294967295}', b"[]"]
)
def test_a_registry_that_gives_no_proper_id_is_down(server: FakeRegistry, asking: Asking, answer: bytes) -> None:
    server.behaviour = lambda handler: handler.say(200, answer)
    with pytest.raises(RegistryDownError):
        asking(may_register=True).id_of("tick")


def test_a_registry_at_a_wrong_address_gives_no_id(server: FakeRegistry, asking: Asking) -> None:
    for may_register in (True, False):
        with pytest.raises(RegistryDownError, match="the address of the registry itself"):
            asking(url=f"{server.url}/elsewhere", may_register=may_register).id_of("tick")


# The event loop, and threads.


def test_the_event_loop_goes_on_while_the_registry_thinks(server: FakeRegistry, asking: Asking) -> None:
    server.add(TICK, 1)
    is_asked, may_answer = asyncio.Event(), threading.Event()

    async def both() -> Any:
        loop = asyncio.get_running_loop()

        def think(handler: Handler) -> None:
            loop.call_soon_threadsafe(is_asked.set)
            assert may_answer.wait(10)
            handler.say(200, json.dumps(server.schemas[1]).encode())

        server.behaviour = think
        answer = asyncio.ensure_future(asking().aschema(1))
        await is_asked.wait()  # only a loop that goes on comes past this
        assert not answer.done()
        may_answer.set()
        return await answer

    assert asyncio.run(both()) == json.loads(TICK)


def test_many_who_want_the_same_ask_once(server: FakeRegistry, asking: Asking) -> None:
    server.add(TICK, 1)
    schemas = asking()

    async def all_of_them() -> list[Any]:
        in_threads = [asyncio.to_thread(schemas.schema, 1) for _ in range(8)]
        return await asyncio.gather(*in_threads, *(schemas.aschema(1) for _ in range(8)))

    assert asyncio.run(all_of_them()) == [json.loads(TICK)] * 16
    assert server.asked == ["GET /schemas/ids/1"]


# The client itself.


def test_an_upgrade_that_moves_what_we_touch_is_told(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    class Moved:
        def __init__(self, conf: object) -> None: ...

    schemas = asking()
    monkeypatch.setattr(registry_client, "SchemaRegistryClient", Moved)
    with pytest.raises(ClientMovedError, match=r"_rest_client\.session"):
        schemas.schema(1)


def test_no_compressed_answer_is_asked_for_and_credentials_are_sent(server: FakeRegistry, asking: Asking) -> None:
    seen: dict[str, str] = {}

    def look(handler: Handler) -> None:
        seen.update(handler.headers.items())
        handler.say(200, json.dumps({"schema": TICK}).encode())

    server.behaviour = look
    asking(url=server.url.replace("//", "//user:secret@")).schema(1)
    assert seen["Accept-Encoding"] == "identity"
    assert seen["Authorization"] == "Basic dXNlcjpzZWNyZXQ="
