"""How the clients of Kafka prove who they are, and whom they believe: the settings, as each client takes them.

A file that is named and cannot be used is refused here, by the setting that names it.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from streams.errors import InputError
from streams.settings import KNOWN, Settings

if TYPE_CHECKING:
    from faust import SASLCredentials, SSLCredentials

NO_SECURITY: Final[Mapping[str, str]] = MappingProxyType({})
"""What `for_confluent` says of a broker that asks for nothing, but for the protocol, which is then the usual one."""


def for_confluent(settings: Settings) -> dict[str, str]:
    """Options of confluent-kafka's clients."""
    options = {"security.protocol": settings.security_protocol}
    if settings.uses_sasl:
        options["sasl.mechanism"] = settings.sasl_mechanism
        options["sasl.username"] = settings.sasl_username
        options["sasl.password"] = settings.sasl_password
    if settings.uses_tls:
        tls_context(settings)  # names a file that is of no use, which librdkafka's errors do not
        files = {
            "ssl.ca.location": settings.ssl_ca_file,
            "ssl.certificate.location": settings.ssl_cert_file,
            "ssl.key.location": settings.ssl_key_file,
        }
        options.update({name: str(path) for name, path in files.items() if path is not None})
    return options


def for_aiokafka(settings: Settings) -> dict[str, Any]:
    """Arguments of aiokafka's clients."""
    options: dict[str, Any] = {"security_protocol": settings.security_protocol}
    if settings.uses_sasl:
        options["sasl_mechanism"] = settings.sasl_mechanism
        options["sasl_plain_username"] = settings.sasl_username
        options["sasl_plain_password"] = settings.sasl_password
    if settings.uses_tls:
        options["ssl_context"] = tls_context(settings)
    return options


def for_faust(settings: Settings) -> "SASLCredentials | SSLCredentials | None":
    """Faust's `broker_credentials`; None where the broker asks for nothing."""
    from faust import SASLCredentials, SSLCredentials  # noqa: PLC0415 - slow to import, and only for workers

    context = tls_context(settings) if settings.uses_tls else None
    if settings.uses_sasl:
        return SASLCredentials(
            username=settings.sasl_username,
            password=settings.sasl_password,
            mechanism=settings.sasl_mechanism,
            ssl_context=context,
        )
    return None if context is None else SSLCredentials(context)


def tls_context(settings: Settings) -> ssl.SSLContext:
    """Believes the certificates of the setting, or of the system; shows ours, where there is one."""
    context = believing("ssl_ca_file", settings.ssl_ca_file)
    if settings.ssl_cert_file is not None:
        assert settings.ssl_key_file is not None, "the settings refuse one without the other"
        try:
            settings.ssl_key_file.read_bytes()
        except OSError as error:
            raise _unusable("ssl_key_file", settings.ssl_key_file, error) from error
        try:
            context.load_cert_chain(settings.ssl_cert_file, settings.ssl_key_file, _no_password)
        except OSError as error:
            raise _unusable("ssl_cert_file", settings.ssl_cert_file, error) from error
    return context


def believing(field: str, path: Path | None) -> ssl.SSLContext:
    """Believes the certificates in a file that the setting names, and no others; or those of the system."""
    if path is None:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
    except OSError as error:
        raise _unusable(field, path, error) from error
    return context


def _no_password() -> str:
    """A key with a password would else be asked for in the terminal."""
    return ""


def _unusable(field: str, path: Path, error: OSError) -> InputError:
    said = error.strerror if not isinstance(error, ssl.SSLError) else error.reason or "no PEM"
    return InputError(KNOWN[field].variable, f"{path} cannot be used ({said})", "name a readable file in PEM")
