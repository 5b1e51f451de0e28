"""The table of strategies in its database: which rows have changed, what they hold, and how they are written.

A row is written only where it is as it was read, `row_version` and all else: a person who edits it meanwhile, with or
without raising that, is not written over.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Text, cast, insert, inspect, literal_column, select, text, update
from sqlalchemy.exc import IntegrityError, NoSuchTableError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import CreateColumn

from streams.database.engine import Database
from streams.database.reconciling import Row
from streams.database.row_reading import Raw, columns_of
from streams.database.table import METADATA, TABLE, as_read
from streams.errors import InputError

NAMES: Final = tuple(TABLE.columns.keys())


class Write(NamedTuple):
    """What a row is to become."""

    read: Raw
    """As it was read."""
    before: Row
    after: Row


class Store:
    """See the head of this file."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._marks: dict[str, Any] = {}
        """Of each row, what is another one when the row has changed."""
        self._data_version: int | None = None

    async def prepare(self, *, create: bool) -> None:
        """Make the table, if asked to, and look at its columns; raises `InputError`, `DatabaseTroubleError`."""
        async with self._database.asked() as connection:
            if create:
                await connection.run_sync(METADATA.create_all)
            found = await connection.run_sync(_columns)
        place = f"{self._database.place}, table {TABLE.name}"
        if found is None:
            raise InputError(place, "there is no such table", "make it by `tickgate strategies sync --create`")
        missing = [column for column in TABLE.columns if column.name not in found]
        if missing:
            column = CreateColumn(missing[0]).compile(dialect=self._database.engine.dialect)
            problem = f"has no column {', '.join(each.name for each in missing)}"
            raise InputError(place, problem, f"add it: ALTER TABLE {TABLE.name} ADD COLUMN {str(column).strip()}")

    async def changed(self) -> set[str]:
        """The rows that are new, other ones or gone since this was asked last."""
        try:
            async with self._database.asked() as connection:
                marks = await self._marks_now(connection)
        except BaseException:
            self._data_version = None  # another connection counts anew
            raise
        if marks is None:
            return set()
        before, self._marks = self._marks, marks
        gone = before.keys() - marks.keys()
        return gone | {row for row, mark in marks.items() if before.get(row) != mark}

    async def _marks_now(self, connection: AsyncConnection) -> dict[str, Any] | None:
        """The marks; None where nothing has changed."""
        if not self._database.is_sqlite:
            # The transaction that wrote a row last: other than a counter of ours, nobody can forget to raise it.
            wrote = cast(literal_column("xmin"), Text)
            found = await connection.execute(select(TABLE.c.strategy_id, wrote))
            return {row[0]: row[1] for row in found}
        version = (await connection.execute(text("PRAGMA data_version"))).scalar_one()  # what others have committed
        if version == self._data_version:
            return None
        self._data_version = version
        rows = await connection.execute(select(*map(as_read, NAMES)))
        return {row[0]: hash(tuple(row)) for row in rows}

    async def rows(self, strategy_ids: Collection[str]) -> dict[str, Raw]:
        """These rows, where they are there."""
        wanted = select(*map(as_read, NAMES)).where(TABLE.c.strategy_id.in_(strategy_ids))
        async with self._database.asked() as connection:
            return {row[0]: dict(zip(NAMES, row, strict=True)) for row in await connection.execute(wanted)}

    async def write(self, writes: Sequence[Write]) -> set[str]:
        """Write rows; returns those that were not as they had been read, and stay as they are."""
        missed = set()
        async with self._database.asked() as connection:
            for each in writes:
                found = await connection.execute(_update(each))
                if found.rowcount != 1:
                    missed.add(each.read["strategy_id"])
        return missed

    async def add(self, rows: Iterable[Row]) -> None:
        """Add rows for strategies that have none; where somebody else adds one, that one stays."""
        for row in rows:
            values = {"strategy_id": row.strategy.strategy_id, **columns_of(row), "row_version": 1}
            async with self._database.asked() as connection:
                try:
                    async with connection.begin_nested():
                        await connection.execute(insert(TABLE).values(values))
                except IntegrityError:
                    continue

    async def close(self) -> None:
        """Let go of the database."""
        await self._database.close()


def _update(write: Write) -> Any:  # noqa: ANN401 - SQLAlchemy's
    """What differs is set, if all is as it was read."""
    before, after = columns_of(write.before), columns_of(write.after)
    values = {name: value for name, value in after.items() if value != before[name]}
    row_version = write.read["row_version"]
    values["row_version"] = (row_version if isinstance(row_version, int) else 0) + 1
    as_it_was = [as_read(name).is_not_distinct_from(write.read[name]) for name in NAMES]
    return update(TABLE).where(*as_it_was).values(values)


def _columns(connection: Any) -> set[str] | None:  # noqa: ANN401 - SQLAlchemy's, for its inspector
    """The names of the columns; None where there is no such table."""
    try:
        return {column["name"] for column in inspect(connection).get_columns(TABLE.name)}
    except NoSuchTableError:
        return None
