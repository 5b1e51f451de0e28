"""How a database is reached, and what its troubles are in words: SQLite in a file, or PostgreSQL."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from streams.errors import InputError, in_words, on_one_line
from streams.setting_readers import without_password

DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}
VARIABLE: Final = "TICKGATE_DATABASE_URL"
MOST_CHARACTERS: Final = 300

REMEDIES: Final = {
    "locked": "another program writes to it, and takes long; try again, or end that program",
    "readonly": "make the file and its folder writable for this user",
    "read-only": "take a server that takes writes",
    "unable to open": "see that the folder is there and this user may write to it",
    "not a database": "give the path of an SQLite file, or of one that is not there yet and --create",
    "malformed": "the file is damaged; bring it back from a backup",
    "is full": "make room on the disk",
    "authentication failed": f"mend name and password in {VARIABLE}",
    "does not exist": f"mend {VARIABLE}, or make what is missing",
    "permission denied": "allow this user to read and write the table strategies",
    "refused": "see that it runs there and takes connections",
    "resolve": f"mend the host in {VARIABLE}",
}
"""What to do, by what a driver's words have in them; the first that fits."""

ASKED_AGAIN: Final = "see that it runs and can be reached"


class DatabaseTroubleError(Exception):
    """The database does not do what it was asked for, and may later."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem, self.remedy = problem, remedy


class Database:
    """One connection, made anew behind each trouble."""

    def __init__(self, url: str, timeout_s: float, *, create: bool = False) -> None:
        """`create` lets a file of SQLite be made. Raises `InputError` where the URL is none."""
        self.place, self._timeout_s = f"database {without_password(url)}", timeout_s
        parsed = _parsed(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite and Path(parsed.database or "").is_dir():
            raise InputError(self.place, "is a folder", f"write the path of a file in it into {VARIABLE}")
        if self.is_sqlite and not create and not Path(parsed.database or "").is_file():
            raise InputError(self.place, "there is no such file", f"mend {VARIABLE}, or make one with --create")
        self.engine = _engine(parsed, timeout_s)

    @asynccontextmanager
    async def asked(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction, committed at the end; raises `DatabaseTroubleError`."""
        try:
            async with asyncio.timeout(self._timeout_s), self.engine.begin() as connection:
                yield connection
        except TimeoutError:
            await self._trouble(f"has not answered within {self._timeout_s:g} s", ASKED_AGAIN)
        except (SQLAlchemyError, OSError) as error:
            words = on_one_line(" ".join(in_words(_cause(error)).split()), MOST_CHARACTERS)
            remedy = next((each for part, each in REMEDIES.items() if part in words.lower()), ASKED_AGAIN)
            await self._trouble(words, remedy)

    async def _trouble(self, problem: str, remedy: str) -> NoReturn:
        await self.close()
        raise DatabaseTroubleError(f"{self.place}: {problem}", remedy)

    async def close(self) -> None:
        """Close the connection; the next question makes another one."""
        await self.engine.dispose()


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
        return parsed.set(drivername=DRIVERS[parsed.drivername])
    except (ArgumentError, KeyError, ValueError) as error:
        problem = f"{without_password(url)!r} is no address of a database that is known"
        remedy = "write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
        raise InputError(VARIABLE, problem, remedy) from error


def _engine(url: URL, timeout_s: float) -> AsyncEngine:
    connect: dict[str, Any] = {"connect_timeout": max(2, round(timeout_s))}
    if url.get_backend_name() == "sqlite":
        connect = {"timeout": timeout_s / 2}  # it waits for locks, and says so before we give up
    options: dict[str, Any] = {"pool_size": 1, "max_overflow": 0, "connect_args": connect, "hide_parameters": True}
    engine = create_async_engine(url, json_serializer=partial(json.dumps, ensure_ascii=False), **options)
    if url.get_backend_name() == "sqlite":
        event.listen(engine.sync_engine, "connect", _read_any_text)
    return engine


def _read_any_text(connection: Any, _: object) -> None:  # noqa: ANN401 - the driver's
    """SQLite keeps any bytes as text: let what is no UTF-8 come in, so that its row alone is refused."""
    connection.driver_connection.text_factory = partial(bytes.decode, errors="surrogateescape")


def _cause(error: BaseException) -> BaseException:
    """What the driver itself has said."""
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
