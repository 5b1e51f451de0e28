"""Chooses where schemas come from: the files of this package, or a registry."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streams.errors import InputError
from streams.kafka.registry import FileSchemas, RegistryError, Schemas


def open_schemas(url: str, now_s: Callable[[], float], *, prefix: str = "", may_register: bool = False) -> Schemas:
    """Schemas from the registry at this address, or from the files where there is none.

    `prefix` stands before the subjects, as it does before the topics. Whoever may register puts our schemas into the
    registry where they are missing; else they must be there.
    """
    if not url:
        return FileSchemas()
    from streams.kafka.registry_client import RegistrySchemas  # noqa: PLC0415 - slow to import, and seldom needed

    return RegistrySchemas({"url": url}, now_s, prefix=prefix, may_register=may_register)


@contextmanager
def registry_told() -> Iterator[None]:
    """Turn what a registry refuses, or does not answer, into the user's error: for whoever can't wait for it."""
    try:
        yield
    except RegistryError as error:
        raise InputError("TICKGATE_SCHEMA_REGISTRY_URL", error.problem, error.remedy) from error
