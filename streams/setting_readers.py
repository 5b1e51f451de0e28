"""How the text of a setting becomes its value. What cannot be read is a ValueError: problem, semicolon, remedy."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

MAX_PORT: Final = 65_535
MAX_PREFIX: Final = 64
MAX_APP_ID: Final = 64
"""With these, the longest topic name stays below the 249 characters that Kafka allows."""

MAX_URL: Final = 2_048
_PASSWORD: Final = re.compile(r"[^/,]*@")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")
_WHOLE: Final = re.compile(r"-?[0-9]{1,18}")
_HOST: Final = re.compile(r"[A-Za-z0-9._:-]+")
_SWITCH: Final = {"true": True, "false": False, "on": True, "off": False, "1": True, "0": False}


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """A whole number within bounds, both included."""

    def read(text: str) -> int:
        if not _WHOLE.fullmatch(text):
            raise ValueError(f"is not a whole number; write one from {low} to {high}")
        if not low <= int(text) <= high:
            raise ValueError(f"is out of range; write a number from {low} to {high}")
        return int(text)

    return read


def choice(*values: str) -> Callable[[str], str]:
    """One of a few words, in any case; it comes out as it stands here."""
    known = {value.lower(): value for value in values}

    def read(text: str) -> str:
        if text.lower() not in known:
            raise ValueError(f"is not known; write {', '.join(values[:-1])} or {values[-1]}")
        return known[text.lower()]

    return read


def switch(text: str) -> bool:
    """On or off."""
    if text.lower() not in _SWITCH:
        raise ValueError("is neither true nor false; write one of the two")
    return _SWITCH[text.lower()]


def name(most: int) -> Callable[[str], str]:
    """A part of a topic's name."""

    def read(text: str) -> str:
        if not _NAME.fullmatch(text):
            raise ValueError("cannot stand in the name of a topic; use letters, digits, dots, dashes and underscores")
        if len(text) > most:
            raise ValueError(f"has {len(text)} characters; use {most} at most")
        return text

    return read


def host(text: str) -> str:
    """A name or an address of this machine."""
    if not _HOST.fullmatch(text):
        raise ValueError("is no host; write a name or an address such as 127.0.0.1, or 0.0.0.0 for every interface")
    return text


def addresses(text: str) -> str:
    """Where to reach the broker: one or more HOST:PORT."""
    found = [each.strip() for each in text.split(",")]
    for each in found:
        before, _, port = each.rpartition(":")
        bare = before.removeprefix("[").removesuffix("]")
        if "://" in each:
            raise ValueError("has a scheme in it; write HOST:PORT alone")
        if not _HOST.fullmatch(bare) or not (port.isascii() and port.isdecimal()) or not 0 < int(port) <= MAX_PORT:
            raise ValueError("is not HOST:PORT; write such as 127.0.0.1:9092, several with commas")
    return ",".join(found)


def url(text: str) -> str:
    """An address on the web."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or len(text) > MAX_URL or not text.isprintable() or " " in text:
        raise ValueError("is no web address; write such as http://127.0.0.1:8081")
    return text.rstrip("/")


def redis_urls(text: str) -> str:
    """Where to reach Redis: one or more addresses, of which one takes writes."""
    found = [each.strip() for each in text.split(",")]
    for each in found:
        try:
            parts = urlsplit(each)
            usable = parts.scheme in {"redis", "rediss"} and parts.hostname and parts.port != 0
            usable = usable and (parts.path in {"", "/"} or parts.path[1:].isdecimal())
        except ValueError:
            usable = False
        if not usable or len(each) > MAX_URL or not each.isprintable() or " " in each:
            raise ValueError("is no address of Redis; write such as redis://127.0.0.1:6379/0, several with commas")
    return ",".join(found)


def database_url(text: str) -> str:
    """Where a database is: a file of SQLite, or PostgreSQL."""
    try:
        parts = urlsplit(text)
        file = parts.scheme == "sqlite" and not parts.netloc and len(parts.path) > 1
        usable = file or (parts.scheme == "postgresql" and parts.port != 0 and len(parts.path) > 1)
    except ValueError:
        usable = False
    if not usable or len(text) > MAX_URL or not text.isprintable():
        remedy = "write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
        raise ValueError(f"is no address of a database that is known; {remedy}")
    return text


def without_password(url: str) -> str:
    """An address that may be shown."""
    return _PASSWORD.sub("***@", url)


def key_prefix(text: str) -> str:
    """What stands before every key."""
    if len(text) > MAX_PREFIX or not text.isprintable() or " " in text:
        raise ValueError(f"cannot stand before a key; write {MAX_PREFIX} characters at most, without blanks")
    return text


def path(text: str) -> Path:
    """A file or a folder."""
    if text.startswith("~"):
        raise ValueError("begins with a ~, which only a shell understands; write the whole path")
    return Path(text)
