"""Says where Redis is, what it refuses, and what to do about that; for a log line, and for whoever asked for something.

The kinds of redis-py's errors tell little by themselves: a wrong password, a port of somebody else's and a full Redis
are all one to whoever has only a stack of them.
"""

import ssl
from typing import Final

from redis.exceptions import (
    AuthenticationError,
    InvalidResponse,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from streams.errors import in_words

SETTING: Final = "TICKGATE_REDIS_URL"
START: Final = f"start it, or mend {SETTING}"
PASSWORD: Final = f"write its name and password into {SETTING}, such as redis://NAME:PASSWORD@HOST:PORT/0"
BY_KIND: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (AuthenticationError, PASSWORD),
    (NoPermissionError, "let this user read and write all keys of the view: ACL SETUSER NAME ~* +@all"),
    (OutOfMemoryError, "give Redis a larger maxmemory, or delete other keys; what is missing is written then"),
    (ReadOnlyError, f"name the one that takes writes too, with a comma between, in {SETTING}"),
    (InvalidResponse, f"what answers there is no Redis; mend {SETTING}"),
)
BY_WORDS: Final = (
    ("db index", f"name a database that there is, such as /0, at the end of {SETTING}"),
    ("wrongtype", "delete that key, or set TICKGATE_REDIS_PREFIX to something of its own"),
    ("crossslot", "set TICKGATE_REDIS_PREFIX to a hash tag, such as {tickgate}:"),
    ("unknown command", "Redis 6.2 or newer is needed"),
    ("misconf", "Redis cannot save to its disk; look at its log"),
)
NOT_TLS: Final = f"it does not speak TLS: write redis:// in place of rediss:// into {SETTING}"
BELIEVE: Final = f"its certificate is not believed: name who signed it by ?ssl_ca_certs=FILE at the end of {SETTING}"
SILENT: Final = f"{START}; one that does not speak TLS is as silent: then write redis:// in place of rediss://"
NOT_PLAIN: Final = f"{START}; where it speaks TLS, write rediss://, and a port that is no Redis answers so too"


def remedy_for(error: BaseException, place: str) -> str:
    """What to do about what was met at an address, or at several."""
    for kind, remedy in BY_KIND:
        if isinstance(error, kind):
            return remedy
    words = in_words(error).lower()
    if isinstance(error, ResponseError):
        return next((remedy for word, remedy in BY_WORDS if word in words), "look at the log of Redis")
    if isinstance(error, ssl.SSLCertVerificationError) or "certificate verify failed" in words:
        return BELIEVE
    if isinstance(error, ssl.SSLError) or "ssl" in words:
        return NOT_TLS
    if isinstance(error, RedisConnectionError) and "closed by server" in words:
        return NOT_PLAIN
    # A Redis without TLS waits for the end of what it takes for a command.
    return SILENT if "rediss://" in place and isinstance(error, TimeoutError | RedisTimeoutError) else START


def problem_of(error: BaseException) -> str:
    """What it says, without a stop at the end."""
    return in_words(error).rstrip(".")
