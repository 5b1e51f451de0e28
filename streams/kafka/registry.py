"""Schemas by id: the port through which they are asked for, and `FileSchemas`, which needs no server.

Ids and schemas come from `schemas/registry.json`, so that anyone can decode what is written, or from a
Confluent-compatible registry (`registry_client.py`). Tests hold both to the same contract.

Two answers must never be mixed up. A schema that nobody registered (`UnknownSchemaError`) is the record's fault: to
the dead letters with it. A registry that does not answer (`RegistryDownError`) says nothing about the record: wait.
"""

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from streams.core.plan import Schema
from streams.errors import shortened

SchemaRef = int | UUID
"""What a record names its schema by: the id, or the GUID that newer serializers put into a header."""

MAX_SCHEMA_ID: Final = (1 << 31) - 1
"""Registries count in a signed int of four bytes; an id above is nobody's."""


class RegistryError(Exception):
    """A schema that cannot be had, and what to do."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem, self.remedy = problem, remedy


class UnknownSchemaError(RegistryError):
    """Nobody has registered it."""


class UnusableSchemaError(RegistryError):
    """It is registered, and is not what a record can be read with."""


class RegistryDownError(RegistryError):
    """The registry gives no answer that can be used. Nothing is known about the schema: ask again later."""


class Schemas(Protocol):
    """Where schemas come from."""

    def schema(self, ref: SchemaRef) -> Schema:
        """The parsed JSON of a schema. May wait for a server: not for the event loop."""

    async def aschema(self, ref: SchemaRef) -> Schema:
        """The same for the event loop, which goes on meanwhile."""

    def id_of(self, name: str) -> int:
        """The id that our record of this name (`strategy_change`) is written with. May wait for a server."""


class OwnSchema(NamedTuple):
    """One of the files in `schemas/`."""

    schema_id: int
    subject: str
    version: int
    name: str
    """The file's name up to its first dot; versions of one record share it."""
    text: str

    @property
    def schema(self) -> Schema:
        """The parsed JSON."""
        parsed: Schema = json.loads(self.text)
        return parsed


@cache
def own_schemas() -> tuple[OwnSchema, ...]:
    """All schemas of this package."""
    folder = files("schemas")
    rows = json.loads(folder.joinpath("registry.json").read_text())["schemas"]
    return tuple(
        OwnSchema(
            row["id"],
            row["subject"],
            row["version"],
            row["file"].partition(".")[0],
            folder.joinpath(row["file"]).read_text(),
        )
        for row in rows
    )


def newest(name: str, own: Sequence[OwnSchema] | None = None) -> OwnSchema:
    """The version of our record that is written."""
    versions = [each for each in own or own_schemas() if each.name == name]
    if not versions:
        raise UnknownSchemaError(f"no schema file for {shortened(name)}", "name one that schemas/registry.json lists")
    return max(versions, key=lambda each: each.version)


def unknown(ref: SchemaRef, where: str, remedy: str) -> UnknownSchemaError:
    """Say that nobody knows a schema."""
    return UnknownSchemaError(f"schema {'id' if isinstance(ref, int) else 'GUID'} {ref} is not in {where}", remedy)


class FileSchemas:
    """Schemas out of the files of this package."""

    def __init__(self, own: Sequence[OwnSchema] | None = None) -> None:
        self._own = own or own_schemas()
        self._by_ref: dict[SchemaRef, Schema] = {each.schema_id: each.schema for each in self._own}

    def schema(self, ref: SchemaRef) -> Schema:
        """The parsed JSON of a schema."""
        found = self._by_ref.get(ref)
        if found is None:
            raise unknown(ref, "schemas/registry.json", "write with an id that is, or set a registry")
        return found

    async def aschema(self, ref: SchemaRef) -> Schema:
        """The same; there is nothing to wait for."""
        return self.schema(ref)

    def id_of(self, name: str) -> int:
        """The id that our record of this name is written with."""
        return newest(name, self._own).schema_id
