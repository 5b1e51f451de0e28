"""Schemas that a test sets, in place of a registry: they can be missing, of no use, or not be told."""

from collections.abc import Mapping
from typing import Any

from streams.kafka.registry import (
    FileSchemas,
    RegistryDownError,
    SchemaRef,
    UnknownSchemaError,
    UnusableSchemaError,
    own_schemas,
)

OWN: dict[SchemaRef, Any] = {own.schema_id: own.schema for own in own_schemas()}
UNUSABLE = object()
"""In place of a schema that is there and of no use."""


class GivenSchemas:
    """Our own schemas and a few others; notes what it is asked."""

    def __init__(self, more: Mapping[Any, Any] | None = None) -> None:
        self.known: dict[SchemaRef, Any] = {**OWN, **(more or {})}
        self.asked: list[SchemaRef] = []
        self.down: set[SchemaRef] = set()

    def schema(self, ref: SchemaRef) -> Any:
        """The schema, or why not."""
        self.asked.append(ref)
        if ref in self.down:
            raise RegistryDownError("it does not answer", "wait")
        if ref not in self.known:
            raise UnknownSchemaError(f"schema {ref} is not there", "register it")
        if self.known[ref] is UNUSABLE:
            raise UnusableSchemaError(f"schema {ref} is of no use", "register another")
        return self.known[ref]

    async def aschema(self, ref: SchemaRef) -> Any:
        """The same."""
        return self.schema(ref)

    def id_of(self, name: str) -> int:
        """As in the files."""
        return FileSchemas().id_of(name)
