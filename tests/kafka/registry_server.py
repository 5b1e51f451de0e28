"""A schema registry for tests: a real HTTP server with the part of the REST API that is used, which may misbehave."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

JSON = "application/vnd.schemaregistry.v1+json"

Answer = tuple[int, Any]
Behaviour = Callable[["Handler"], None]


class FakeRegistry:
    """What the registry holds, what it was asked, and how it behaves."""

    def __init__(self) -> None:
        self.schemas: dict[int, dict[str, Any]] = {}
        self.guids: dict[UUID, int] = {}
        self.subjects: dict[str, dict[str, int]] = {}
        self.incompatible: set[str] = set()
        self.asked: list[str] = []
        self.behaviour: Behaviour | None = None
        self.stopped = threading.Event()
        self.url = ""

    def add(self, text: str, schema_id: int | None = None, *, subject: str = "", **more: Any) -> int:
        """Hold a schema; returns its id."""
        given = max(self.schemas, default=0) + 1 if schema_id is None else schema_id
        self.schemas[given] = {"schema": text, **more}
        if subject:
            self.subjects.setdefault(subject, {})[text] = given
        return given

    def answer(self, method: str, path: str, body: dict[str, Any]) -> Answer:
        """What a registry answers."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if (method, parts) == ("GET", ["schemas", "types"]):
            return 200, ["JSON", "PROTOBUF", "AVRO"]
        if method == "GET" and parts[:2] == ["schemas", "ids"]:
            return self.found(int(parts[2]))
        if method == "GET" and parts[:2] == ["schemas", "guids"]:
            return self.found(self.guids.get(UUID(parts[2]), -1))
        if method == "POST" and parts[0] == "subjects":
            return self.register(parts[1], body["schema"]) if parts[2:] else self.look_up(parts[1], body["schema"])
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    def found(self, schema_id: int) -> Answer:
        """A schema by its id."""
        if schema_id not in self.schemas:
            return 404, {"error_code": 40403, "message": f"Schema {schema_id} not found"}
        return 200, self.schemas[schema_id]

    def register(self, subject: str, text: str) -> Answer:
        """A new schema of a subject, or one that is there."""
        if subject in self.incompatible:
            return 409, {"error_code": 409, "message": "Schema being registered is incompatible"}
        known = self.subjects.setdefault(subject, {})
        return 200, {"id": known[text] if text in known else self.add(text, subject=subject)}

    def look_up(self, subject: str, text: str) -> Answer:
        """A schema that a subject must hold."""
        if subject not in self.subjects:
            return 404, {"error_code": 40401, "message": f"Subject '{subject}' not found."}
        if text not in self.subjects[subject]:
            return 404, {"error_code": 40403, "message": "Schema not found"}
        return 200, {"subject": subject, "version": 1, "id": self.subjects[subject][text], "schema": text}


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: "Server"

    def do_GET(self) -> None:
        self.take({})

    def do_POST(self) -> None:
        self.take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def take(self, body: dict[str, Any]) -> None:
        """Answer, in the way that is set."""
        registry, path = self.server.registry, urlsplit(self.path).path
        registry.asked.append(f"{self.command} {path}")
        try:
            if registry.behaviour is not None:
                registry.behaviour(self)
            else:
                status, answer = registry.answer(self.command, path, body)
                self.say(status, json.dumps(answer).encode())
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has had enough
        self.close_connection = True

    def say(self, status: int, body: bytes, kind: str = JSON, **headers: str) -> None:
        """Send an answer in one piece."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Serves one registry; a request that is still going on does not hold up the end."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, registry: FakeRegistry) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.registry = registry


@contextmanager
def running() -> Iterator[FakeRegistry]:
    """A registry that can be reached."""
    registry = FakeRegistry()
    with Server(registry) as server:
        registry.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield registry
        finally:
            registry.stopped.set()
            server.shutdown()
            thread.join()
