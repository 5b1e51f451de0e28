"""Faust tables whose rows live in the columns of the shards, and the table of all strategies.

`last_update` and `last_bucket` are partitioned as `ticks` is. Their changelogs are written by the checkpoint, and
read here in runs when a shard is recovered or a copy is kept; they read as any Faust table. `strategies` is a
GlobalTable whose changelog is the topic `strategy-changes` itself: every worker holds all of it before the first tick.

What Faust 0.15.3 needs for this, found by trial: a buffer of two runs for tables of state (with one, a worker goes on
reading its own changelog) and of one for a global table (with more, a lone worker never sees a later write). It
swallows exceptions raised in here and would wait for ever: so they stop the worker.
"""

import logging
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, ValuesView
from typing import Any, Final, Protocol, cast

import faust
from faust.stores.base import Store
from faust.tables.globaltable import GlobalTable
from faust.types import TP, EventT

from streams.kafka.fetch import RawRun

log = logging.getLogger(__name__)

STATE_BUFFER_RUNS: Final = 2
GLOBAL_BUFFER_RUNS: Final = 1

READ_ONLY: Final = "ticks and strategy changes alone change rows; this table is for reading"


class Rows(Protocol):
    """Where a table's rows are; see `table_rows.py`."""

    def take(self, run: RawRun) -> None:
        """Rows of the changelog, in order."""

    async def recovered(self) -> None:
        """All rows are there, of every table."""

    def read_up_to(self, partition: int) -> int | None:
        """The offset behind the last row taken of a partition, where reading may go on; None: from the start."""

    def get(self, key: str) -> Any:  # noqa: ANN401 - a row of any table
        """One row; raises KeyError."""

    def keys(self) -> Iterable[str]:
        """Every key that this worker holds."""


class RowsStore(Store[str, Any]):
    """A Faust store that keeps nothing of its own."""

    def __init__(self, rows: Rows, *args: Any, **options: Any) -> None:  # noqa: ANN401 - as Faust makes it
        super().__init__(*args, **options)
        self.rows = rows

    def persisted_offset(self, tp: TP) -> int:
        """The last offset that is here; Faust reads from it on, the last once more.

        Where nothing is here, that is said too, as -1. None would leave Faust with the offset of an earlier
        assignment, and it would go on in the middle of rows that are gone.
        """
        return (self.rows.read_up_to(tp.partition) or 0) - 1

    def apply_changelog_batch(self, batch: Iterable[EventT[Any]], to_key: Any, to_value: Any) -> None:  # noqa: ANN401
        """The tables take rows themselves."""
        raise NotImplementedError

    def reset_state(self) -> None:
        """Faust asks for this when it begins anew; a shard is made anew with each assignment."""

    async def backup_partition(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - as Faust calls it
        """There is nothing on disk."""
        raise NotImplementedError

    def restore_backup(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - as Faust calls it
        """There is nothing on disk."""
        raise NotImplementedError

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - a row of any table
        return self.rows.get(key)

    def __contains__(self, key: object) -> bool:
        try:
            self.rows.get(cast("str", key))
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows.keys())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def keys(self) -> KeysView[str]:
        """Every key; the store has no dictionary of its own that these could come from."""
        return KeysView(self)

    def values(self) -> ValuesView[Any]:
        """Every row."""
        return ValuesView(self)

    def items(self) -> ItemsView[str, Any]:
        """Every key and its row."""
        return ItemsView(self)

    def __setitem__(self, key: str, value: object) -> None:
        raise TypeError(READ_ONLY)

    def __delitem__(self, key: str) -> None:
        raise TypeError(READ_ONLY)

    def clear(self) -> None:
        """Not from here."""
        raise TypeError(READ_ONLY)


class _RowsTable:
    """What both kinds of table share: their store, their topic, and a loud end where Faust would be silent."""

    app: Any
    _changelog_topic: Any

    def __init__(
        self,
        app: faust.App,
        *,
        rows: Rows,
        stop_worker: Callable[[BaseException], None],
        **options: Any,  # noqa: ANN401
    ) -> None:
        self.rows, self.stop_worker = rows, stop_worker
        super().__init__(app, **options)  # type: ignore[call-arg]  # what it is mixed into takes them

    def _new_store(self) -> RowsStore:
        return RowsStore(self.rows, "memory://", self.app, self, table_name=self.name)  # type: ignore[attr-defined]

    def _changelog_topic_name(self) -> str:
        return str(self._changelog_topic.get_topic_name())  # Faust's assignor asks here, and not the topic

    def apply_changelog_batch(self, batch: Iterable[EventT[Any]]) -> None:
        """Take runs of rows, or stop the worker."""
        try:
            for event in batch:
                if event.message.topic != self._changelog_topic_name():
                    continue  # Faust hands what belongs to nobody to the table that had the event before
                self.rows.take(cast("RawRun", event.message.value))
        except Exception as error:
            self._end(error)
            raise

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Every row up to the high-water marks is there."""
        del active_tps, standby_tps
        try:
            await self.rows.recovered()
        except Exception as error:
            self._end(error)
            raise

    def _refuse(self, *_: object) -> None:
        """Before Faust writes to the changelog: it does so first, and finds out after that the store takes nothing."""
        raise TypeError(READ_ONLY)

    on_key_set = on_key_del = on_clear = _refuse

    def _end(self, error: Exception) -> None:
        log.error("rows of %s cannot be taken: %s", self._changelog_topic_name(), error, exc_info=error)
        self.stop_worker(error)


class StateTable(_RowsTable, faust.Table):  # type: ignore[type-arg]
    """Rows of the shards."""

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """The same, and then ticks may be sought; unless another rebalance has come in between."""
        generation = self.app.consumer_generation_id
        await super().on_recovery_completed(active_tps, standby_tps)
        if generation == self.app.consumer_generation_id:
            self.app.consumer.has_recovered = True


class WholeTable(_RowsTable, GlobalTable):
    """All of a topic, on every worker: strategies, flags, turns."""

    notices: Any = None
    """A channel that gets a message with each run of records."""

    async def on_changelog_event(self, event: EventT[Any]) -> None:
        """Let the agent know."""
        del event
        await self.notices.send(value=None)


def changelog(app: faust.App, name: str, partitions: int) -> Any:  # noqa: ANN401 - Faust's topic
    """A topic whose records reach the table as they come."""
    return app.topic(
        name,
        key_serializer="raw",
        value_serializer="raw",
        internal=True,
        acks=False,
        allow_empty=True,
        partitions=partitions,
    )
