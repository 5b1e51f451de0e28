"""Schemas from a Confluent-compatible registry, asked through confluent-kafka's client, which trusts it blindly.

What is added: answers are kept, also those that say no; an answer may be only so large and take only so long, all in
all; and every way to fail is one of three errors, see `registry.py`. One question is asked at a time, in one thread.

Inside the client one thing is touched: `_rest_client.session`, the HTTP client, to see an answer before its body
is read. `RegistrySchemas` says so when an upgrade has moved it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock, Timer
from typing import NamedTuple, TypeVar

import httpx2
from confluent_kafka.schema_registry import RegisteredSchema, SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.schema_registry import Schema as Registered

from streams.core.plan import Schema
from streams.errors import shortened
from streams.kafka.kept import Kept
from streams.kafka.registry import (
    MAX_SCHEMA_ID,
    OwnSchema,
    RegistryDownError,
    RegistryError,
    SchemaRef,
    UnknownSchemaError,
    UnusableSchemaError,
    newest,
    unknown,
)
from streams.kafka.registry_answers import (
    ASK_AGAIN,
    AnswerTooLargeError,
    bounded,
    described,
    down,
    is_refusal,
    is_unknown,
    parsed,
    said,
)

T = TypeVar("T")


class Bounds(NamedTuple):
    """How much a registry may cost."""

    answer_bytes: int = 1 << 20
    schema_characters: int = 1 << 18
    wait_s: float = 3.0
    """For the connection, and for each next byte."""
    deadline_s: float = 10.0
    """For the whole of an answer, however slowly it drips, and for all addresses together."""
    retry_after_s: float = 10.0
    """A schema that was not there is not asked for again before."""
    found_kept: int = 100
    missed_kept: int = 1000


class ClientMovedError(Exception):
    """The confluent-kafka that is installed is not the one this file was written for."""


class Miss(NamedTuple):
    """A question that was answered with no."""

    error: type[RegistryError]
    problem: str
    remedy: str
    until_s: float


class RegistrySchemas:
    """Schemas out of a registry."""

    def __init__(  # noqa: PLR0913 - each by name
        self,
        conf: Mapping[str, object],
        now_s: Callable[[], float],
        own: Sequence[OwnSchema] | None = None,
        *,
        prefix: str = "",
        may_register: bool = False,
        bounds: Bounds | None = None,
    ) -> None:
        """Take the client's own settings (`url`, `basic.auth.user.info`, ...); nothing is asked yet."""
        self._bounds = bounds or Bounds()
        self._conf = {"timeout": self._bounds.wait_s, "max.retries": 0, **conf}
        self._now_s, self._own, self._prefix, self._may_register = now_s, own, prefix, may_register
        self._found: Kept[SchemaRef, Schema] = Kept(self._bounds.found_kept)
        self._missed: Kept[SchemaRef, Miss] = Kept(self._bounds.missed_kept)
        self._own_ids: dict[str, int] = {}
        self._asking = Lock()
        self._client: SchemaRegistryClient | None = None
        self._thread = ThreadPoolExecutor(1, "schema-registry")

    def close(self) -> None:
        """Let go of the thread and the connection."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._drop(self._client)

    def schema(self, ref: SchemaRef) -> Schema:
        """The parsed JSON of a schema."""
        found = self._kept(ref)
        if found is not None:
            return found
        with self._asking:
            found = self._kept(ref)  # another thread may have asked meanwhile
            if found is None:
                found = self._ask_for(ref)
            return found

    async def aschema(self, ref: SchemaRef) -> Schema:
        """The same for the event loop, which goes on meanwhile."""
        found = self._kept(ref)
        if found is not None:
            return found
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.schema, ref)

    def id_of(self, name: str) -> int:
        """The id that our record of this name is written with."""
        with self._asking:
            if name not in self._own_ids:
                self._own_ids[name] = self._ask_id(newest(name, self._own))
            return self._own_ids[name]

    def _kept(self, ref: SchemaRef) -> Schema | None:
        """What is known already; raises where it is known to be missing."""
        if isinstance(ref, int) and not 0 <= ref <= MAX_SCHEMA_ID:
            raise unknown(ref, "any registry", f"write with an id from 0 to {MAX_SCHEMA_ID}")
        found = self._found.get(ref)
        missed = self._missed.get(ref) if found is None else None
        if missed is not None:
            if self._now_s() < missed.until_s:
                raise missed.error(missed.problem, missed.remedy)
            self._missed.drop(ref)
        return found

    def _ask_for(self, ref: SchemaRef) -> Schema:
        """Ask for a schema, and keep the answer."""
        try:
            found = self._judged_schema(ref)
        except (UnknownSchemaError, UnusableSchemaError) as error:
            until_s = self._now_s() + self._bounds.retry_after_s
            self._missed.put(ref, Miss(type(error), error.problem, error.remedy, until_s))
            raise
        self._found.put(ref, found)
        return found

    def _judged_schema(self, ref: SchemaRef) -> Schema:
        """Ask for a schema; a refusal becomes one of our errors."""
        try:
            answer = self._answer(
                lambda client: client.get_schema(ref) if isinstance(ref, int) else client.get_schema_by_guid(str(ref))
            )
        except AnswerTooLargeError:
            problem = f"schema {ref} comes in more than {self._bounds.answer_bytes} bytes"
            raise UnusableSchemaError(problem, "register a smaller one") from None
        except SchemaRegistryError as error:
            if is_unknown(error) or (is_refusal(error) and self._is_there()):
                raise unknown(ref, "the registry", "register it before it is written with") from error
            raise down(error) from error
        return parsed(ref, answer, self._bounds.schema_characters)

    def _is_there(self) -> bool:
        """Whether this is a registry at all: a wrong address answers 404 as well."""
        try:
            return isinstance(self._answer(lambda client: client.get_schema_types()), list)
        except (RegistryDownError, SchemaRegistryError, AnswerTooLargeError):
            return False

    def _ask_id(self, own: OwnSchema) -> int:
        """Register one of our schemas, or find it."""
        subject, schema = self._prefix + own.subject, Registered(own.text, "AVRO")

        def ask(client: SchemaRegistryClient) -> RegisteredSchema:
            if self._may_register:
                return client.register_schema_full_response(subject, schema)
            return client.lookup_schema(subject, schema)

        try:
            answer = self._answer(ask).schema_id
        except AnswerTooLargeError as error:
            raise RegistryDownError("the registry's answer is too large", ASK_AGAIN) from error
        except SchemaRegistryError as error:
            where = f"subject {shortened(subject, 80)}"
            if is_unknown(error):
                remedy = f"register schemas/{own.name}.avsc there, or let this program do it"
                raise UnknownSchemaError(f"{where} does not hold our schema", remedy) from error
            if is_refusal(error) and error.http_status_code != 404:  # noqa: PLR2004 - HTTP's
                remedy = "see which version stands there; a schema may only grow by fields with defaults"
                raise UnusableSchemaError(f"{where} refuses our schema ({said(error)})", remedy) from error
            raise down(error) from error
        if type(answer) is not int or not 0 <= answer <= MAX_SCHEMA_ID:
            raise RegistryDownError(f"the registry gives {shortened(str(answer))} for an id", ASK_AGAIN)
        return answer

    def _answer(self, ask: Callable[[SchemaRegistryClient], T]) -> T:
        """Ask one question. What is not an answer of a registry is a registry that is down."""
        client = self._open()
        watchdog = Timer(self._bounds.deadline_s, self._drop, [client])
        watchdog.daemon = True
        watchdog.start()
        try:
            return ask(client)
        except SchemaRegistryError:
            raise
        except AnswerTooLargeError:
            self._drop(client)
            raise
        except Exception as error:  # whatever a strange answer makes the client trip over
            self._drop(client)
            raise RegistryDownError(f"the registry does not answer ({described(error)})", ASK_AGAIN) from error
        finally:
            watchdog.cancel()
            client.clear_caches()  # type: ignore[no-untyped-call]  # they know no bound

    def _open(self) -> SchemaRegistryClient:
        """The client; a new one after any trouble."""
        if self._client is None:
            client = SchemaRegistryClient(self._conf)
            session = getattr(getattr(client, "_rest_client", None), "session", None)
            if not isinstance(session, httpx2.Client):
                raise ClientMovedError("SchemaRegistryClient has no _rest_client.session; install confluent-kafka 2.16")
            session.event_hooks = {"response": [bounded(self._bounds.answer_bytes)]}
            session.headers["Accept-Encoding"] = "identity"
            self._client = client
        return self._client

    def _drop(self, client: SchemaRegistryClient) -> None:
        """Do not use a client again; a question that still waits for it ends."""
        if self._client is client:
            self._client = None
        client.close()
