"""Why somebody else's machine cannot be reached, in words, and what to do about its address.

An error of aiohttp tells of objects of its own, and may quote a whole address, which may hold a key.
"""

from typing import NamedTuple

import aiohttp

from streams.errors import in_words, os_trouble


class Address(NamedTuple):
    """Where an address is set, and how it begins with TLS and without."""

    setting: str
    secure: str
    plain: str


def unreached(error: BaseException, address: Address) -> tuple[str, str] | None:
    """The problem and the remedy; None for an error that says nothing of the address."""
    setting, secure, plain = address
    match error:
        case aiohttp.ClientConnectorCertificateError():
            told = getattr(error.certificate_error, "verify_message", "") or in_words(error.certificate_error)
            return f"its certificate is not believed ({told})", "have the system believe who signed it"
        case aiohttp.ClientConnectorSSLError():
            told = getattr(error.os_error, "reason", "") or in_words(error.os_error)
            remedy = f"write {plain} in place of {secure} into {setting}, or another port"
            return f"no TLS at port {error.port} ({told})", remedy
        case aiohttp.ClientConnectorDNSError():
            told = os_trouble(error.os_error)
            return f"nobody knows the host {error.host} ({told})", f"mend {setting}, or see that names are resolved"
        case aiohttp.ClientConnectorError():
            told = os_trouble(error.os_error)
            problem = f"nobody takes connections at port {error.port} of {error.host} ({told})"
            return problem, f"mend {setting}, or see what is in the way"
        case aiohttp.ServerDisconnectedError():
            return "it hung up without an answer", f"see that {setting} is right"
    return None
