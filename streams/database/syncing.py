"""Holds rows and topic against each other until they are equal, and then whatever has changed on either side.

The order of things is what keeps it right, with any number of such processes:

1. Rows are read first, and then the topic up to its end: so of what a row has agreed on, nothing is unknown here.
2. Whoever would send opens the sender first, which shuts all others out, and begins again with 1. So it knows
   all that was ever sent for the database, and nobody sends the same.
3. A row is written only where it is as it was read (`store.py`).

Whatever fails between two steps is found by the next look, which begins with 1.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, Protocol

from aiokafka.errors import KafkaError

from streams.core.events import Strategy
from streams.database.counts import DATABASE, KAFKA, DatabaseCounts
from streams.database.engine import DatabaseTroubleError
from streams.database.planning import Change, Plan, is_settled, plan
from streams.database.reconciling import Known, Row
from streams.database.row_reading import BadRow, Raw, RowReader, oddity
from streams.database.store import Write
from streams.errors import InputError, in_words
from streams.kafka.fenced_changes import FencedError, RefusedError, UnsureError

log = logging.getLogger(__name__)

AT_ONCE: Final = 50
"""Strategies that are held against each other in one round."""

ROUNDS: Final = 8
"""So often in a row; a strategy that others still edit then is left to the next look."""

BYTES_AT_ONCE: Final = 4 << 20
"""Values of one transaction, but for a single one that is larger."""


class Rows(Protocol):
    """The table; see `store.py`."""

    async def changed(self) -> set[str]:
        """The rows that have changed since this was asked last."""

    async def rows(self, strategy_ids: Sequence[str]) -> dict[str, Raw]:
        """These rows, where they are there."""

    async def write(self, writes: Sequence[Write]) -> set[str]:
        """Write rows; returns those that others have edited meanwhile."""

    async def add(self, rows: Iterable[Row]) -> None:
        """Add rows."""


class Topic(Protocol):
    """The topic; see `topic.py`."""

    @property
    def is_ours(self) -> bool:
        """Whether nobody else may send."""

    def known(self, strategy_id: str) -> Known:
        """What it says of a strategy."""

    async def read_up(self) -> None:
        """Read up to its end."""

    async def make_ours(self) -> None:
        """Let nobody else send."""

    def records(self, change: Strategy, ts_ms: int, reason: str) -> list[tuple[bytes, bytes | None]]:
        """A version as records."""

    async def send(self, records: Sequence[tuple[bytes, bytes | None]], ts_ms: int) -> None:
        """Send all or nothing, and see it stand."""


class LaidOut(NamedTuple):
    """A version, and its records."""

    change: Strategy
    records: list[tuple[bytes, bytes | None]]


class SyncTroubleError(Exception):
    """A look came to nothing, or not to its end; the next one goes on with it."""

    def __init__(self, kind: str, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.kind, self.problem, self.remedy = kind, problem, remedy


class Syncing:
    """One process's part in it."""

    def __init__(  # noqa: PLR0913 - the last by name
        self,
        rows: Rows,
        topic: Topic,
        counts: DatabaseCounts,
        now_ms: Callable[[], int],
        *,
        adopt: bool,
        say: Callable[[str], None],
    ) -> None:
        """`say` is told once what is wrong with a row, or odd."""
        self._rows, self._topic, self._counts, self._now_ms, self._adopt = rows, topic, counts, now_ms, adopt
        self._say = say
        self._reader = RowReader()
        self._open: dict[str, None] = {}
        """Strategies to be held against each other, in the order in which they changed."""
        self.bad: dict[str, BadRow] = {}
        """Rows that cannot be used."""
        self.wake = asyncio.Event()

    @property
    def has_more(self) -> bool:
        """Whether something is to be held against each other already."""
        return bool(self._open)

    def told(self, strategy_id: str) -> None:
        """A strategy has changed on the topic."""
        self._open[strategy_id] = None
        self.wake.set()

    async def look(self) -> bool:
        """Find what has changed, and make it equal; returns whether all is. Raises `SyncTroubleError`."""
        try:
            self._open |= dict.fromkeys(sorted(await self._rows.changed()))
            await self._topic.read_up()
            left = await self._settled_all()
        except DatabaseTroubleError as error:
            raise self._failed(DATABASE, error.problem, error.remedy) from error
        except FencedError as error:
            self._counts.fenced()
            log.debug("%s", error)
            return False
        except (RefusedError, UnsureError, KafkaError, TimeoutError, OSError) as error:
            problem = f"strategy-changes: Kafka has not done what it was asked for ({in_words(error)})"
            raise self._failed(KAFKA, problem, "it is asked again; see that it runs and can be reached") from error
        self._counts.looked(len(left), len(self.bad))
        return not left

    def _failed(self, kind: str, problem: str, remedy: str) -> SyncTroubleError:
        self._counts.failed(kind)
        return SyncTroubleError(kind, problem, remedy)

    async def _settled_all(self) -> list[str]:
        """Make equal what is open; returns what is not yet. What changes meanwhile is open again."""
        left: list[str] = []
        open_, self._open = list(self._open), {}
        try:
            while open_:
                left += await self._settled(open_[:AT_ONCE])
                del open_[:AT_ONCE]
        finally:
            self._open |= dict.fromkeys([*open_, *left])
        return left

    async def _settled(self, strategy_ids: list[str]) -> list[str]:
        """Make some equal; returns those that are not yet."""
        for _ in range(ROUNDS):
            if strategy_ids:
                strategy_ids = await self._round(strategy_ids)
        return strategy_ids

    async def _round(self, strategy_ids: Sequence[str]) -> list[str]:
        """One turn of the steps above; returns those that need another."""
        raws = await self._rows.rows(strategy_ids)
        await self._topic.read_up()
        found = plan(strategy_ids, raws, self._topic.known, self._reader, adopt=self._adopt)
        self._tell(strategy_ids, found)
        if found.changes and not self._topic.is_ours:
            await self._topic.make_ours()
            return list(strategy_ids)
        open_ = await self._send(found.changes)
        open_ |= await self._write(found)
        return [strategy_id for strategy_id in strategy_ids if strategy_id in open_]

    async def _send(self, changes: Sequence[Change]) -> set[str]:
        """Send versions, a transaction each few; returns whose they are."""
        now_ms, laid_out = self._now_ms(), list[LaidOut]()
        for change, raw in changes:
            odd = oddity(change)
            if odd:
                self._say(f"warning: {odd}")
            try:
                records = self._topic.records(change, now_ms, f"row_version {raw['row_version']}")
            except InputError as error:
                self._note_bad(BadRow(change.strategy_id, "alert_universe_full", error.problem, error.remedy))
            else:
                laid_out.append(LaidOut(change, records))
        left = iter(laid_out)
        while part := _some(left):
            await self._topic.send([record for _, records in part for record in records], now_ms)
            self._counts.went_out(len(part))
            for change, _ in part:
                log.info("strategy %r: version %d, as its row has it", change.strategy_id, change.version)
        return {change.strategy_id for change, _ in laid_out}

    async def _write(self, found: Plan) -> set[str]:
        """Write rows, and add some; returns those that are not settled by that."""
        if found.adds:
            await self._rows.add(found.adds)
        met = await self._rows.write(found.writes) if found.writes else set[str]()
        self._counts.went_in(len(found.adds) + len(found.writes) - len(met), len(met))
        self._counts.contested(found.contested)
        added = {row.strategy.strategy_id for row in found.adds}
        names = {each.read["strategy_id"]: each for each in found.writes}
        return met | added | {name for name, each in names.items() if not is_settled(each, self._topic.known(name))}

    def _tell(self, strategy_ids: Iterable[str], found: Plan) -> None:
        """Say of each bad row what is wrong, once."""
        bad = {each.strategy_id: each for each in found.bad}
        for strategy_id in strategy_ids:
            if strategy_id not in bad:
                self.bad.pop(strategy_id, None)
        for each in found.bad:
            self._note_bad(each)

    def _note_bad(self, row: BadRow) -> None:
        if self.bad.get(row.strategy_id) != row:
            self._say(f"error: {row}")
        self.bad[row.strategy_id] = row


def _some(left: Iterable[LaidOut]) -> list[LaidOut]:
    """The next few, as much as one transaction holds."""
    found: list[LaidOut] = []
    size = 0
    for each in left:
        found.append(each)
        size += sum(len(value or b"") for _, value in each.records)
        if size >= BYTES_AT_ONCE:
            break
    return found
