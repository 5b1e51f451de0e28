"""What is to be done about some strategies, given their rows and what the topic says. Pure."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from streams.core.events import Status, Strategy
from streams.database.reconciling import Answer, Known, Row, agreed_on, reconcile
from streams.database.row_reading import BadRow, Raw, RowReader
from streams.database.store import Write
from streams.errors import InputError
from streams.kafka.strategy_topic import differences


class Change(NamedTuple):
    """A version to send, and the row that it is."""

    strategy: Strategy
    raw: Raw


class Plan(NamedTuple):
    """What is to be done. What is in none of these is as it should be."""

    writes: list[Write]
    adds: list[Row]
    changes: list[Change]
    bad: list[BadRow]
    contested: int
    """Fields that row and topic had both changed."""


def plan(
    strategy_ids: Iterable[str],
    raws: Mapping[str, Raw],
    known: Callable[[str], Known],
    reader: RowReader,
    *,
    adopt: bool,
) -> Plan:
    """Hold rows against the topic; `adopt` adds one where there is none."""
    found = Plan([], [], [], [], 0)
    contested = 0
    for strategy_id in strategy_ids:
        says = known(strategy_id)
        if strategy_id not in raws:
            if adopt and says.stands is not None and says.stands.status is not Status.DELETED:
                found.adds.append(Row(says.stands, agreed_on(says.stands)))
            continue
        row = reader.read(raws[strategy_id])
        if isinstance(row, BadRow):
            found.bad.append(row)
            continue
        answer = reconcile(row, says)
        contested += len(answer.contested)
        _take(found, raws[strategy_id], row, answer, says)
    return found._replace(contested=contested)


def _take(found: Plan, raw: Raw, row: Row, answer: Answer, says: Known) -> None:
    if answer.row is not None:
        found.writes.append(Write(raw, row, answer.row))
    if answer.change is not None:
        strategy_id = row.strategy.strategy_id
        standing = {} if says.stands is None else {strategy_id: says.stands}
        try:
            (change,) = differences(standing, [answer.change], prune=False)
        except InputError as error:  # no such move, or no further version
            found.bad.append(BadRow(strategy_id, "status", error.problem, error.remedy))
        else:
            found.changes.append(Change(change, raw))


def is_settled(write: Write, says: Known) -> bool:
    """Whether a row that is written so needs nothing more."""
    return reconcile(write.after, says) == Answer()
