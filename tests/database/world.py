"""A database, a topic and processes that sync them, in memory and step by step, for properties of the rule."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from streams.core.events import Status, Strategy, Tombstone
from streams.core.lifecycle import Verdict, settle
from streams.database.planning import Plan, plan
from streams.database.reconciling import FIELDS, Known, Row, agreed_on, mark, marks
from streams.database.row_reading import Raw, RowReader, columns_of
from streams.database.store import Write
from streams.database.table import UNIVERSE

COLUMN = {"universe": UNIVERSE}


class Record(NamedTuple):
    """One record of the topic."""

    said: Strategy | Tombstone
    is_ours: bool
    life: int


def as_raw(row: Row, row_version: int) -> Raw:
    """A row as a database gives it."""
    columns = columns_of(row)
    columns[UNIVERSE] = json.dumps(columns[UNIVERSE])
    return {"strategy_id": row.strategy.strategy_id, **columns, "row_version": row_version}


def read(raw: Raw) -> Row:
    row = RowReader().read(raw)
    assert isinstance(row, Row)
    return row


@dataclass
class World:
    """Both sides."""

    rows: dict[str, Raw] = field(default_factory=dict)
    log: list[Record] = field(default_factory=list)
    epoch: int = 0
    lives: dict[str, int] = field(default_factory=dict)
    pending: dict[tuple[str, str], str] = field(default_factory=dict)
    """Of each field that a person has edited, the mark of what has not been on the topic yet."""
    known: dict[str, Known] = field(default_factory=dict)

    def says(self, strategy_id: str) -> Known:
        return self.known.get(strategy_id, Known())

    def append(self, said: Strategy | Tombstone, *, is_ours: bool) -> None:
        strategy_id = said.strategy_id
        self.log.append(Record(said, is_ours, self.lives.get(strategy_id, 0)))
        known = self.says(strategy_id)
        if isinstance(said, Tombstone):
            self.lives[strategy_id] = self.lives.get(strategy_id, 0) + 1
            if self.pending.get((strategy_id, "status")) == Status.DELETED:
                del self.pending[strategy_id, "status"]
            self.known[strategy_id] = Known(None, None, known.version)
        elif settle(known.stands, said).verdict is Verdict.ACCEPTED:
            self.known[strategy_id] = Known(said, said if is_ours else known.sent, said.version)
            for each in FIELDS:
                if self.pending.get((strategy_id, each)) == mark(said, each):
                    del self.pending[strategy_id, each]

    def person_edits(self, strategy_id: str, change: dict[str, Any], *, raises_version: bool) -> None:
        """Somebody edits a row, or adds it, by plain SQL."""
        is_new = strategy_id not in self.rows
        if is_new:
            given = {"timeframe": "1m", **change}
            self.rows[strategy_id] = as_raw(Row(Strategy(strategy_id, **given)), 1)
            change = given
        raw, before = dict(self.rows[strategy_id]), read(self.rows[strategy_id])
        after = replace(before.strategy, **change)
        raw |= {name: each for name, each in as_raw(Row(after, before.agreed), 0).items() if name != "row_version"}
        raw["row_version"] += raises_version
        self.rows[strategy_id] = raw
        sent = self.says(strategy_id).sent
        base = before.agreed if sent is None or sent.version <= before.agreed.version else agreed_on(sent)
        for each in change:
            if not is_new and mark(after, each) == mark(before.strategy, each):
                continue  # nobody can see that it was edited
            self.pending.pop((strategy_id, each), None)
            stands = self.says(strategy_id).stands
            there = mark(stands, each) if stands else str(Status.DELETED) if each == "status" else None
            if mark(after, each) not in {base.marks.get(each), there}:
                self.pending[strategy_id, each] = mark(after, each)

    def topic_edits(self, strategy_id: str, change: dict[str, Any]) -> None:
        """Somebody writes the next version; one that deletes gets its tombstone."""
        stands = self.says(strategy_id).stands
        now = stands or Strategy(strategy_id, "1m", version=0)
        edited = replace(now, version=now.version + 1, **change)
        if settle(stands, edited).verdict is Verdict.ACCEPTED:
            self.append(edited, is_ours=False)
            if edited.status is Status.DELETED:
                self.append(Tombstone(strategy_id), is_ours=False)

    def is_equal(self, strategy_id: str) -> bool:
        row, stands = read(self.rows[strategy_id]).strategy, self.says(strategy_id).stands
        if stands is None or stands.status is Status.DELETED:
            return row.status is Status.DELETED
        return marks(row) == marks(stands)

    def sent_twice(self) -> list[tuple[str, int, int]]:
        """Versions that processes have written more than once."""
        sent = [
            (each.said.strategy_id, each.life, each.said.version)
            for each in self.log
            if each.is_ours and isinstance(each.said, Strategy)
        ]
        return [each for each in set(sent) if sent.count(each) > 1]


class Process:
    """One that syncs, a step at a time; between any two, the others go on."""

    def __init__(self, world: World, *, adopt: bool = False) -> None:
        self._world, self._adopt = world, adopt
        self._epoch = -1
        self.found: Plan | None = None

    def reads(self, strategy_ids: Sequence[str]) -> None:
        """Rows, then the topic; and where there is something to send and it is not ours, make it so and read again."""
        world = self._world
        for _ in range(2):
            raws = {each: dict(world.rows[each]) for each in strategy_ids if each in world.rows}
            self.found = plan(strategy_ids, raws, world.says, RowReader(), adopt=self._adopt)
            if not self.found.changes or self._epoch == world.epoch:
                return
            world.epoch += 1
            self._epoch = world.epoch

    def sends(self) -> None:
        """All or nothing, and nothing where another has opened the sender."""
        world = self._world
        if self.found is None or not self.found.changes:
            return None
        if self._epoch != world.epoch:
            return self.crashes()
        for change, _ in self.found.changes:
            world.append(change, is_ours=True)
            if change.status is Status.DELETED:
                world.append(Tombstone(change.strategy_id), is_ours=True)
        self.found = self.found._replace(changes=[])
        return None

    def writes(self) -> None:
        """Each row that is as it was read."""
        for each in self.found.writes if self.found else []:
            self._write(each)
        for row in self.found.adds if self.found else []:
            self._world.rows.setdefault(row.strategy.strategy_id, as_raw(row, 1))
        self.found = None

    def _write(self, write: Write) -> None:
        strategy_id = write.read["strategy_id"]
        if self._world.rows[strategy_id] == write.read:
            self._world.rows[strategy_id] = as_raw(write.after, write.read["row_version"] + 1)

    def crashes(self) -> None:
        """What was on its way is forgotten."""
        self.found = None
        self._epoch = -1
