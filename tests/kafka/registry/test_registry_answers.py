"""A registry that is down, hostile or wrong is believed little: what each answer of it is worth."""

import gzip
import json
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from streams.kafka.registry import RegistryDownError, UnknownSchemaError, UnusableSchemaError
from tests.kafka.registry.conftest import BOUNDS, GUID, TICK, Asking, refused
from tests.kafka.registry_server import JSON, FakeRegistry, Handler

# Nothing is concluded about the schema, and it is asked again.


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
    server: FakeRegistry, asking: Asking, how: str
) -> None:
    schemas = asking()
    server.behaviour = DOWN[how]
    assert type(refused(schemas)) is RegistryDownError
    server.behaviour = None
    server.add(TICK, 1)
    assert schemas.schema(1) == json.loads(TICK)
    assert not [path for path in server.asked if "elsewhere" in path]


def test_the_remedy_fits_the_trouble(server: FakeRegistry, asking: Asking) -> None:
    schemas = asking()
    for how, word in {
        "forbidden": "credentials",
        "a redirect": "redirects are not followed",
        "the wrong path of a registry": "address",
        "error 500": "asked again",
    }.items():
        server.behaviour = DOWN[how]
        assert word in refused(schemas).remedy


def test_a_registry_that_cannot_be_reached_is_down(asking: Asking) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and not listened on
        assert type(refused(asking(url=f"http://127.0.0.1:{taken.getsockname()[1]}"))) is RegistryDownError


def test_a_registry_that_knows_no_guids_does_not_hold_up_a_record_that_names_one(
    server: FakeRegistry, asking: Asking
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
    server: FakeRegistry, asking: Asking, status: int
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
    server: FakeRegistry, asking: Asking, slow: Callable[[Handler], None]
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
def test_a_schema_that_is_of_no_use_is_the_fault_of_its_record(server: FakeRegistry, asking: Asking, how: str) -> None:
    answer, words = UNUSABLE[how]
    server.schemas[1] = answer
    schemas = asking()
    error = refused(schemas)
    assert type(error) is UnusableSchemaError
    assert words in error.problem
    refused(schemas)
    assert server.asked == ["GET /schemas/ids/1"]


def test_an_answer_without_an_end_is_not_read_to_its_end(server: FakeRegistry, asking: Asking) -> None:
    server.behaviour = lambda handler: endless(handler, 200)
    assert type(refused(asking())) is UnusableSchemaError
