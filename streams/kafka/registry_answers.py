"""What an answer of a schema registry is worth: how much of it is read, what it says, and whether it can be used."""

import json
from collections.abc import Callable, Iterator
from typing import Final

import httpx2
from confluent_kafka.schema_registry import Schema as Registered
from confluent_kafka.schema_registry import SchemaRegistryError

from streams.core.plan import Schema
from streams.errors import shortened
from streams.kafka.registry import RegistryDownError, SchemaRef, UnusableSchemaError

SCHEMA_NOT_FOUND: Final = (40401, 40402, 40403)
"""The registry's own codes: no such subject, no such version, no such schema."""

NOT_ABOUT_THE_SCHEMA: Final = frozenset({401, 403, 407, 408, 425, 429})
"""Statuses from 400 to 499 that say nothing about what was asked for."""

ASK_AGAIN: Final = "see that the registry runs and can be reached; it is asked again"


class AnswerTooLargeError(Exception):
    """A good answer, but for its size: that is the schema's fault."""


class NotARegistryError(Exception):
    """An answer that no registry gives."""


class BoundedBody(httpx2.SyncByteStream):
    """A body that ends in an error once it is too large."""

    def __init__(self, body: httpx2.SyncByteStream, bound: int, error: Exception) -> None:
        self.body, self.left, self.error = body, bound, error

    def __iter__(self) -> Iterator[bytes]:
        for part in self.body:
            self.left -= len(part)
            if self.left < 0:
                raise self.error
            yield part

    def close(self) -> None:
        """Let go of the connection."""
        self.body.close()


def bounded(bound: int) -> Callable[[httpx2.Response], None]:
    """Make the hook that looks at an answer before its body is read."""

    def look(response: httpx2.Response) -> None:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise NotARegistryError("its answer is compressed, which nobody asked for")
        if response.is_success and "json" not in response.headers.get("content-type", "json"):
            raise NotARegistryError(f"it answers in {shortened(response.headers['content-type'])}, not in JSON")
        assert isinstance(response.stream, httpx2.SyncByteStream)
        too_large = AnswerTooLargeError() if response.is_success else NotARegistryError("its error has no end")
        response.stream = BoundedBody(response.stream, bound, too_large)

    return look


def is_unknown(error: SchemaRegistryError) -> bool:
    """Whether the registry itself says that there is no such thing."""
    return error.http_status_code == 404 and error.error_code in SCHEMA_NOT_FOUND  # noqa: PLR2004 - HTTP's


def is_refusal(error: SchemaRegistryError) -> bool:
    """Whether the answer may be about what was asked for."""
    return 400 <= error.http_status_code < 500 and error.http_status_code not in NOT_ABOUT_THE_SCHEMA  # noqa: PLR2004


def said(error: SchemaRegistryError) -> str:
    """What the registry said, in short."""
    return f"HTTP {error.http_status_code}, {shortened(str(error.error_message), 200)}"


def described(error: Exception) -> str:
    """An error of the client's, in short."""
    return f"{type(error).__name__}: {shortened(str(error), 200)}"


def down(error: SchemaRegistryError) -> RegistryDownError:
    """For an answer that says nothing about the schema."""
    status = error.http_status_code
    remedy = ASK_AGAIN
    if status in {401, 403, 407}:
        remedy = "give it credentials that may read schemas"
    elif 300 <= status < 400 or status == 404:  # noqa: PLR2004 - HTTP's
        remedy = "give the address of the registry itself, with its path if it has one; redirects are not followed"
    return RegistryDownError(f"the registry gives no schema ({said(error)})", remedy)


def parsed(ref: SchemaRef, answer: Registered, most_characters: int) -> Schema:
    """The JSON of a schema, if it is one that can be used by itself."""
    text = answer.schema_str
    if not isinstance(text, str):
        raise RegistryDownError(f"the registry's answer for schema {ref} holds no schema", ASK_AGAIN)
    if answer.schema_type != "AVRO":
        problem = f"schema {ref} is of type {shortened(str(answer.schema_type))}"
        raise UnusableSchemaError(problem, "register one of type AVRO")
    if answer.references:
        problem = f"schema {ref} refers to other subjects"
        raise UnusableSchemaError(problem, "register it with the types it needs written out")
    if len(text) > most_characters:
        problem = f"schema {ref} has {len(text)} characters, more than {most_characters}"
        raise UnusableSchemaError(problem, "register a smaller one")
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        problem = f"schema {ref} is no JSON ({described(error)})"
        raise UnusableSchemaError(problem, "register it again, from its .avsc file") from error
    if not isinstance(schema, str | dict | list):
        raise UnusableSchemaError(f"schema {ref} is no type", "register it again, from its .avsc file")
    return schema
