"""Schemas by id: the contract that files and a registry share, and how little a registry is believed."""

import asyncio
import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any
from uuid import UUID

import pytest

from streams.kafka import registry_client
from streams.kafka.registry import (
    MAX_SCHEMA_ID,
    FileSchemas,
    OwnSchema,
    RegistryDownError,
    RegistryError,
    Schemas,
    UnknownSchemaError,
    UnusableSchemaError,
    newest,
    open_schemas,
    own_schemas,
)
from streams.kafka.registry_client import Bounds, ClientMovedError, RegistrySchemas
from tests.kafka.registry_server import JSON, FakeRegistry, Handler, running

NOBODYS = 4242
GUID = UUID("89791762-2336-4186-9674-299b90a802e2")
RETRY_AFTER_S = 10.0
BOUNDS = Bounds(answer_bytes=20_000, schema_characters=5_000, wait_s=5, deadline_s=20, retry_after_s=RETRY_AFTER_S)
TICK = '{"type": "record", "name": "Tick", "fields": []}'


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
def asking(server: FakeRegistry, clock: Clock) -> Iterator[Callable[..., RegistrySchemas]]:
    """Make clients of the registry: `asking(may_register=True)`."""
    made = []

    def ask(bounds: Bounds = BOUNDS, url: str = "", **more: Any) -> RegistrySchemas:
        made.append(RegistrySchemas({"url": url or server.url}, clock, bounds=bounds, **more))
        return made[-1]

    yield ask
    for each in made:
        each.close()


@pytest.fixture(params=["files", "registry"])
def schemas(request: pytest.FixtureRequest, asking: Callable[..., RegistrySchemas], server: FakeRegistry) -> Schemas:
    """Our own schemas, in files and in a registry."""
    if request.param == "files":
        return FileSchemas()
    for own in own_schemas():
        server.add(own.text, own.schema_id, subject=own.subject)
    return asking()


def refused(schemas: Schemas, ref: int | UUID = 1) -> RegistryError:
    """Ask for a schema that is not to be had."""
    with pytest.raises(RegistryError) as caught:
        schemas.schema(ref)
    assert caught.value.remedy
    assert len(str(caught.value)) < 500, "messages are short, whatever the registry says"
    assert str(caught.value).isprintable()
    return caught.value


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


def test_a_schema_is_asked_for_once(server: FakeRegistry, asking: Callable[..., RegistrySchemas]) -> None:
    server.add(TICK, 7)
    schemas = asking()
    assert schemas.schema(7) == schemas.schema(7) == asyncio.run(schemas.aschema(7)) == json.loads(TICK)
    assert server.asked == ["GET /schemas/ids/7"]


def test_a_guid_is_asked_for_by_its_own_address(server: FakeRegistry, asking: Callable[..., RegistrySchemas]) -> None:
    server.guids[GUID] = server.add(TICK)
    assert asking().schema(GUID) == json.loads(TICK)
    assert server.asked == [f"GET /schemas/guids/{GUID}"]


@pytest.mark.parametrize("more", [None, {"schemaType": "PROTOBUF"}])
def test_a_no_is_kept_for_a_while_and_then_asked_again(
    server: FakeRegistry, asking: Callable[..., RegistrySchemas], clock: Clock, more: dict[str, str] | None
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
    server: FakeRegistry, asking: Callable[..., RegistrySchemas]
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


def test_the_client_keeps_nothing_beside_us(server: FakeRegistry, asking: Callable[..., RegistrySchemas]) -> None:
    schemas = asking(BOUNDS._replace(found_kept=1))
    for k in (1, 2):
        server.add(TICK, k)
        schemas.schema(k)
    schemas.schema(1)
    assert len(server.asked) == 3


def test_an_id_past_what_a_registry_gives_is_not_even_asked_for(
    server: FakeRegistry, asking: Callable[..., RegistrySchemas]
) -> None:
    server.behaviour = lambda handler: handler.say(404, b"<html>", "text/html")
    schemas = asking()
    for ref in (-1, MAX_SCHEMA_ID + 1):
        assert type(refused(schemas, ref)) is UnknownSchemaError
    assert server.asked == []


# Our own ids.


def test_our_schemas_are_only_registered_where_that_is_allowed(
    server: FakeRegistry, asking: Callable[..., RegistrySchemas]
) -> None:
    with pytest.raises(UnknownSchemaError, match=r"ticks-value.*does not hold our schema.*register schemas/tick\.avsc"):
        asking().id_of("tick")
    assert server.subjects == {}
    assert asking(may_register=True).id_of("tick") == 1
    assert server.subjects == {"ticks-value": {newest("tick").text: 1}}
    schemas = asking()
    assert schemas.id_of("tick") == schemas.id_of("tick") == 1
    assert len(server.asked) == 3


def test_a_subject_with_another_schema_does_not_hold_ours(
    server: FakeRegistry, asking: Callable[..., RegistrySchemas]
) -> None:
    server.add(TICK, subject="ticks-value")
    with pytest.raises(UnknownSchemaError, match="does not hold our schema"):
        asking().id_of("tick")


def test_a_subject_that_refuses_our_schema_is_told(
    server: FakeRegistry, asking: Callable[..., RegistrySchemas]
) -> None:
    server.incompatible.add("ticks-value")
    with pytest.raises(UnusableSchemaError, match=r"ticks-value.*incompatible"):
        asking(may_register=True).id_of("tick")


@pytest.mark.parametrize(
    "answer", [b'{"id": "7"}', b'{"id": -1}', b'{"id": true}', b"{}", b'{"id": 4294967295}', b"[]"]
)
def test_a_registry_that_gives_no_proper_id_is_down(
    server: FakeRegistry, asking: Callable[..., RegistrySchemas], answer: bytes
) -> None:
    server.behaviour = lambda handler: handler.say(200, answer)
    with pytest.raises(RegistryDownError):
        asking(may_register=True).id_of("tick")


def test_a_registry_at_a_wrong_address_gives_no_id(
    server: FakeRegistry, asking: Callable[..., RegistrySchemas]
) -> None:
    for may_register in (True, False):
        with pytest.raises(RegistryDownError, match="the address of the registry itself"):
            asking(url=f"{server.url}/elsewhere", may_register=may_register).id_of("tick")


# A registry that is down, or hostile: nothing is concluded about the schema, and it is asked again.


def endless(handler: BaseHTTPRequestHandler, status: int, kind: str = JSON) -> None:
    """Send a body without an end."""
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.end_headers()
    while True:
        handler.wfile.write(b'{"schema": "' + b"x" * 5000)


def cut_short(handler: Handler) -> None:
    """Send less than was said."""
    handler.send_response(200)
    handler.send_header("Content-Type", JSON)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"schema": "')


def another_protocol(handler: Handler) -> None:
    """Say what an SSH server says."""
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")


def redirect(handler: Handler) -> None:
    """Send the client elsewhere: to what would be a good answer."""
    if handler.path.startswith("/elsewhere"):
        handler.say(200, json.dumps({"schema": TICK}).encode())
    else:
        handler.say(302, b"", Location="/elsewhere" + handler.path)


def says(status: int, body: bytes, kind: str = JSON, **headers: str) -> Callable[[Handler], None]:
    """Always say the same."""
    return lambda handler: handler.say(status, body, kind, **headers)


GZIPPED_BOMB = gzip.compress(b" " * 10_000_000 + json.dumps({"schema": TICK}).encode())

DOWN: dict[str, Callable[[Handler], None]] = {
    "error 500": says(500, b'{"error_code": 50001, "message": "store"}'),
    "an error with much to say": says(500, json.dumps({"error_code": 1, "message": "x" * 9000}).encode()),
    "error 503 in HTML": says(503, b"<html>no</html>", "text/html"),
    "too many requests": says(429, b'{"error_code": 429, "message": "slow down"}'),
    "credentials missing": says(401, b'{"error_code": 401, "message": "who are you"}'),
    "forbidden": says(403, b'{"error_code": 40301, "message": "not you"}'),
    "not found by another server": says(404, b"<html>no</html>", "text/html"),
    "the wrong path of a registry": says(404, b'{"error_code": 404, "message": "HTTP 404 Not Found"}'),
    "an error that is no object": says(404, b"[40403]"),
    "an endless error": lambda handler: endless(handler, 500),
    "an endless not found": lambda handler: endless(handler, 404),
    "a redirect": redirect,
    "a login page": says(200, b"<html>log in</html>", "text/html"),
    "an answer that says it is no JSON": says(200, json.dumps({"schema": TICK}).encode(), "text/html"),
    "not JSON": says(200, b"schema"),
    "not UTF-8": says(200, b'{"schema": "\xff\xfe"}'),
    "nothing": says(200, b""),
    "no content": says(204, b""),
    "a list": says(200, b'["schema"]'),
    "a number": says(200, b"7"),
    "null": says(200, b"null"),
    "an object of something else": says(200, b'{"status": "up"}'),
    "a schema that is no text": says(200, b'{"schema": {"type": "record"}}'),
    "a nest": says(200, b"[" * 15_000),
    "a compressed answer": says(200, GZIPPED_BOMB, Content_Encoding="gzip"),
    "an answer cut short": cut_short,
    "another protocol": another_protocol,
    "a closed connection": lambda handler: None,
}


@pytest.mark.parametrize("how", DOWN)
def test_a_registry_without_a_proper_answer_is_down_and_is_asked_again(
    server: FakeRegistry, asking: Callable[..., RegistrySchemas], how: str
) -> None:
    schemas = asking()
    server.behaviour = DOWN[how]
    assert type(refused(schemas)) is RegistryDownError
    server.behaviour = None
    server.add(TICK, 1)
    assert schemas.schema(1) == json.loads(TICK)
    assert not [path for path in server.asked if "elsewhere" in path]


def test_the_remedy_fits_the_trouble(server: FakeRegistry, asking: Callable[..., RegistrySchemas]) -> None:
    schemas = asking()
    for how, word in {
        "forbidden": "credentials",
        "a redirect": "redirects are not followed",
        "the wrong path of a registry": "address",
        "error 500": "asked again",
    }.items():
        server.behaviour = DOWN[how]
        assert word in refused(schemas).remedy


def test_a_registry_that_cannot_be_reached_is_down(asking: Callable[..., RegistrySchemas]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and not listened on
        assert type(refused(asking(url=f"http://127.0.0.1:{taken.getsockname()[1]}"))) is RegistryDownError


def test_a_registry_that_knows_no_guids_does_not_hold_up_a_record_that_names_one(
    server: FakeRegistry, asking: Callable[..., RegistrySchemas]
) -> None:
    def old(handler: Handler) -> None:
        if "guids" in handler.path:
            handler.say(404, b'{"error_code": 404, "message": "HTTP 404 Not Found"}')
        else:
            handler.say(200, b'["AVRO"]')

    server.behaviour = old
    assert type(refused(asking(), GUID)) is UnknownSchemaError
    assert server.asked == [f"GET /schemas/guids/{GUID}", "GET /schemas/types"]


@pytest.mark.parametrize("status", [302, 401, 403, 407, 408, 425, 429, 500, 503])
def test_an_answer_that_is_not_about_the_schema_does_not_make_it_unknown(
    server: FakeRegistry, asking: Callable[..., RegistrySchemas], status: int
) -> None:
    def busy(handler: Handler) -> None:
        if "types" in handler.path:
            handler.say(200, b'["AVRO"]')
        else:
            handler.say(status, b'{"error_code": 40403, "message": "not now"}')

    server.behaviour = busy
    assert type(refused(asking())) is RegistryDownError
    assert server.asked == ["GET /schemas/ids/1"]


def drip_headers(handler: Handler) -> None:
    """Send a good answer, but its headers byte by byte."""
    body = json.dumps({"schema": TICK}).encode()
    drip(handler, b"HTTP/1.0 200 OK\r\nX-Slow: " + b"x" * 100)
    handler.wfile.write(f"\r\nContent-Type: {JSON}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


def drip_body(handler: Handler) -> None:
    """Send a good answer, but its body byte by byte."""
    body = json.dumps({"schema": TICK}).encode() + b" " * 100
    handler.send_response(200)
    handler.send_header("Content-Type", JSON)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    drip(handler, body)


def drip(handler: Handler, text: bytes) -> None:
    """Ten seconds or so for a hundred bytes, each well within the wait for a next byte."""
    for k in range(len(text)):
        handler.wfile.write(text[k : k + 1])
        handler.wfile.flush()
        if handler.server.registry.stopped.wait(0.1):
            return


@pytest.mark.parametrize("slow", [drip_headers, drip_body])
def test_an_answer_that_drips_is_given_up_at_the_deadline(
    server: FakeRegistry, asking: Callable[..., RegistrySchemas], slow: Callable[[Handler], None]
) -> None:
    schemas = asking(BOUNDS._replace(deadline_s=0.3))
    server.behaviour = slow
    assert type(refused(schemas)) is RegistryDownError
    server.behaviour = None
    server.add(TICK, 1)
    assert schemas.schema(1) == json.loads(TICK)


# A schema that is there, and of no use: the record that names it is to blame, and the registry is not asked again.


UNUSABLE: dict[str, tuple[dict[str, Any], str]] = {
    "another type": ({"schema": "syntax = 'proto3';", "schemaType": "PROTOBUF"}, "of type 'PROTOBUF'"),
    "a type that is no text": ({"schema": TICK, "schemaType": 7}, "of type '7'"),
    "references": (
        {"schema": TICK, "references": [{"name": "a", "subject": "s", "version": 1}]},
        "refers to other subjects",
    ),
    "too many characters": ({"schema": json.dumps("x" * 5000)}, "5002 characters, more than 5000"),
    "not JSON": ({"schema": "record Tick {}"}, "is no JSON"),
    "a number of many digits": ({"schema": "1" * 4900}, "is no JSON"),
    "a nest": ({"schema": "[" * 5000}, "is no JSON"),
    "a number": ({"schema": "7"}, "is no type"),
    "an endless answer": ({"schema": "x" * 20_000}, "more than 20000 bytes"),
}


@pytest.mark.parametrize("how", UNUSABLE)
def test_a_schema_that_is_of_no_use_is_the_fault_of_its_record(
    server: FakeRegistry, asking: Callable[..., RegistrySchemas], how: str
) -> None:
    answer, words = UNUSABLE[how]
    server.schemas[1] = answer
    schemas = asking()
    error = refused(schemas)
    assert type(error) is UnusableSchemaError
    assert words in error.problem
    refused(schemas)
    assert server.asked == ["GET /schemas/ids/1"]


def test_an_answer_without_an_end_is_not_read_to_its_end(
    server: FakeRegistry, asking: Callable[..., RegistrySchemas]
) -> None:
    server.behaviour = lambda handler: endless(handler, 200)
    assert type(refused(asking())) is UnusableSchemaError


# The event loop, and threads.


def test_the_event_loop_goes_on_while_the_registry_thinks(
    server: FakeRegistry, asking: Callable[..., RegistrySchemas]
) -> None:
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


def test_many_who_want_the_same_ask_once(server: FakeRegistry, asking: Callable[..., RegistrySchemas]) -> None:
    server.add(TICK, 1)
    schemas = asking()

    async def all_of_them() -> list[Any]:
        in_threads = [asyncio.to_thread(schemas.schema, 1) for _ in range(8)]
        return await asyncio.gather(*in_threads, *(schemas.aschema(1) for _ in range(8)))

    assert asyncio.run(all_of_them()) == [json.loads(TICK)] * 16
    assert server.asked == ["GET /schemas/ids/1"]


# The client itself.


def test_an_upgrade_that_moves_what_we_touch_is_told(
    asking: Callable[..., RegistrySchemas], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Moved:
        def __init__(self, conf: object) -> None: ...

    schemas = asking()
    monkeypatch.setattr(registry_client, "SchemaRegistryClient", Moved)
    with pytest.raises(ClientMovedError, match=r"_rest_client\.session"):
        schemas.schema(1)


def test_no_compressed_answer_is_asked_for_and_credentials_are_sent(
    server: FakeRegistry, asking: Callable[..., RegistrySchemas]
) -> None:
    seen: dict[str, str] = {}

    def look(handler: Handler) -> None:
        seen.update(handler.headers.items())
        handler.say(200, json.dumps({"schema": TICK}).encode())

    server.behaviour = look
    asking(url=server.url.replace("//", "//user:secret@")).schema(1)
    assert seen["Accept-Encoding"] == "identity"
    assert seen["Authorization"] == "Basic dXNlcjpzZWNyZXQ="
