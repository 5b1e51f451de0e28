"""The rows of a shard hold all that it must not forget, and a shard made from them goes on as if nothing had been."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from streams.core.events import Fire, Mode, Status, Strategy, Tick, Tombstone
from streams.core.limits import NEVER
from streams.core.oracle import Oracle
from streams.core.restore import Recovery
from streams.core.shard import Shard
from streams.core.special_rows import POSITION_KEY, STRATEGY_KEY, StrategyRow, read_position, read_strategy
from streams.core.state_rows import StateRows
from streams.core.turns import universe_before
from tests.core.changelogs import Changelogs, bucket_row, key_of, pairs_in, remembered, run_of, update_row
from tests.core.histories import (
    CONDITIONS,
    MINUTE_MS,
    TICKERS,
    Change,
    Event,
    Pick,
    batches,
    fires_of_oracle,
    histories,
    history,
    seeded,
    some,
    state_of_shard,
    tell,
    ticks_of,
)

SAME_COUNTS = ["ticks", "irrelevant", "updates", "fired", "bucket_dup", "late", "no_bucket", "triggered", "clocks"]
PER_TICKER, LEGACY = Mode.PER_TICKER, Mode.LEGACY


class Worker:
    """A shard, its writer of rows, and the versions in force that a table of strategies would hand to a new one."""

    def __init__(self, default: Mode = PER_TICKER, logs: Changelogs | None = None) -> None:
        self.shard = Shard(CONDITIONS, default)
        self.rows = StateRows(self.shard)
        self.logs = logs or Changelogs()
        self.standing: dict[str, Strategy] = {}
        self.before: dict[str, frozenset[str]] = {}
        self.position = 0

    def take(self, batch: Sequence[Event]) -> list[Fire]:
        """A batch of ticks, or a change."""
        if isinstance(batch[0], Change):
            before = self.standing.get(batch[0].strategy_id)
            if tell(self.shard, batch[0]):
                stand(self.standing, batch[0])
                self.note_before(before, batch[0])
            return []
        ticks = ticks_of(self.shard.index.tickers, [each for each in batch if not isinstance(each, Change)])
        fires = self.shard.step(ticks)
        self.rows.note(fires)
        self.position += len(batch)
        return self.shard.named(self.shard.in_order(fires, len(batch)))

    def note_before(self, old: Strategy | None, change: Change) -> None:
        """Keep what a version that empties the universe goes on with."""
        sid = change.strategy_id
        known = self.before.pop(sid, frozenset())
        self.before[sid] = universe_before(old, known, change) if isinstance(change, Strategy) else frozenset()

    def checkpoint(self) -> None:
        self.logs.append(self.rows.encode(self.position))

    def successor(self, pick: Pick, absent: frozenset[str] = frozenset()) -> "Worker":
        """A worker that knows the rows, and the strategies but for those absent, which come in any order."""
        new = Worker(self.shard.index.ways.default_mode, self.logs)
        new.rows, position = self.logs.restore(new.shard, pick)
        new.shard.index.ways.turns.update(self.shard.index.ways.turns)
        new.position = position.next_offset if position else 0
        waiting = sorted(self.standing.keys() - absent)
        while waiting:
            strategy_id = pick(waiting)
            waiting.remove(strategy_id)
            new.standing[strategy_id] = self.standing[strategy_id]
            new.before[strategy_id] = self.before[strategy_id]
            new.shard.stand(new.standing[strategy_id], new.before[strategy_id])
        return new


def stand(standing: dict[str, Strategy], change: Change) -> None:
    """Let a change that counts be the strategy."""
    if isinstance(change, Tombstone):
        standing.pop(change.strategy_id, None)
    else:
        standing[change.strategy_id] = change


def strategies_in(logs: Changelogs) -> dict[str, StrategyRow]:
    """The last row of each strategy."""
    found = {}
    for key, value in logs.last_bucket.latest().items():
        if key and value and key.startswith(STRATEGY_KEY):
            row = read_strategy(key, value)
            found[row.strategy_id] = row
    return found


def assert_rows_say_all(worker: Worker) -> None:
    """What is known only to the shard is in the rows; the universes and rules are the strategies'."""
    strategies, latest = strategies_in(worker.logs), worker.logs.last_bucket.latest()
    log_of = {strategy_id: row.log_number for strategy_id, row in strategies.items()}
    for entry in worker.shard.index.entries.values():
        row = strategies.get(entry.strategy.strategy_id)
        assert (entry.last_run_ms, entry.floor_ms) == ((row.last_run_ms, row.floor_ms) if row else (NEVER, NEVER))
    position = read_position(latest[POSITION_KEY] or b"")
    assert position == (
        worker.position,
        worker.shard.stream_ms,
        len({*log_of.values()}),
        worker.shard.counts,
        {},
        NEVER,
    )
    updates = state_of_shard(worker.shard)[0]
    assert worker.logs.last_update.latest() == {key_of(name): update_row(ts_ms) for name, ts_ms in updates.items()}
    floors = {strategy_id: row.floor_ms for strategy_id, row in strategies.items() if row.floor_ms > NEVER}
    for name, buckets in remembered(worker.shard).items():
        in_row = pairs_in(latest.get(key_of(name)) or b"\1\0")
        for strategy_id, bucket_ms in buckets.items():
            said = in_row.get(log_of[strategy_id], NEVER) if strategy_id in log_of else NEVER
            assert max(said, floors.get(strategy_id, NEVER)) == max(bucket_ms, floors.get(strategy_id, NEVER))


def assert_new_rows_are_plain(worker: Worker, before: int) -> None:
    """Each row of a ticker that a checkpoint has added is whole, and to the byte what a plain writer makes of it."""
    strategies, state = strategies_in(worker.logs), remembered(worker.shard)
    seen = {record.key for record in worker.logs.last_bucket.records[:before]}
    for record in worker.logs.last_bucket.records[before:]:
        key, value = record.key or b"", record.value or b""
        seen.add(key)
        if key[:1] != b"\0":
            pairs = state[key.decode()]
            assert value == bucket_row({strategies[sid].log_number: bucket_ms for sid, bucket_ms in pairs.items()})
            assert {STRATEGY_KEY + strategy_id.encode() for strategy_id in pairs} <= seen
    assert worker.logs.last_bucket.records[-1].key == POSITION_KEY


def stir(standing: dict[str, Strategy]) -> list[Event]:
    """Events that bring out all that is remembered: every strategy watches every ticker, and each ticker ticks."""
    return [
        replace(old, universe=frozenset(TICKERS), version=old.version + 50, status=Status.ACTIVE, mode=PER_TICKER)
        for old in standing.values()
    ]


def assert_goes_on_the_same(events: list[Event], sizes: list[int], default: Mode, pick: Pick) -> None:
    """Of two workers one is replaced by successors, at any checkpoint, and both fire the same."""
    steady, other = Worker(default), Worker(default)
    clean = True
    for batch in batches(events, sizes):
        assert other.take(batch) == steady.take(batch)
        clean = clean and isinstance(batch[0], Change)
        if not clean and pick((True, False)):
            before = len(other.logs.last_bucket.records)
            other.checkpoint()
            clean = True
            assert_rows_say_all(other)
            assert_new_rows_are_plain(other, before)
        if clean and pick((True, False, False)):
            other = other.successor(pick)
            assert state_of_shard(other.shard) == state_of_shard(steady.shard)
            assert_same_counts(other, steady)
    other.checkpoint()
    other = other.successor(pick)
    now_ms = max(steady.shard.stream_ms, 0)
    for event in [*stir(steady.standing), *(Tick(ticker, now_ms) for ticker in TICKERS)]:
        assert other.take([event]) == steady.take([event])
    assert state_of_shard(other.shard) == state_of_shard(steady.shard)
    assert_same_counts(other, steady)


def assert_same_counts(one: Worker, other: Worker) -> None:
    assert [one.shard.counts[name] for name in SAME_COUNTS] == [other.shard.counts[name] for name in SAME_COUNTS]
    assert one.shard.counts["corruptions"] == 0


def test_hundreds_of_fixed_histories_go_on_the_same_after_recoveries() -> None:
    for seed in range(400):
        pick = seeded(seed)
        events, default = history(pick), pick((PER_TICKER, LEGACY))
        assert_goes_on_the_same(events, list(some(pick, range(1, 13), 30)), default, pick)


@given(
    histories(),
    st.lists(st.integers(1, 12), max_size=30),
    st.sampled_from([PER_TICKER, LEGACY]),
    st.integers(0, 1 << 32),
)
def test_a_shard_made_from_rows_goes_on_the_same(
    events: list[Event], sizes: list[int], default: Mode, seed: int
) -> None:
    assert_goes_on_the_same(events, sizes, default, seeded(seed))


@given(histories(), st.lists(st.integers(1, 12), max_size=30), st.sampled_from([PER_TICKER, LEGACY]), st.data())
def test_what_was_not_checkpointed_is_decided_again_and_nothing_fires_twice_or_never(
    events: list[Event], sizes: list[int], default: Mode, data: st.DataObject
) -> None:
    """The changes come first here: which of them a tick meets after a crash is not the rows' to say."""
    changes = [event for event in events if isinstance(event, Change)]
    ticks = [event for event in events if not isinstance(event, Change)]
    oracle, worker, pick = Oracle(CONDITIONS, default), Worker(default), seeded(data.draw(st.integers(0, 1 << 32)))
    for change in changes:
        tell(oracle, change)
        worker.take([change])
    worker.checkpoint()
    waiting, sent = list(sizes), []
    made_true: list[Fire] = []
    while worker.position < len(ticks):
        size = waiting.pop() if waiting else len(ticks)
        sent += worker.take(ticks[worker.position : worker.position + size])
        fate = pick(("no checkpoint", "checkpoint", "checkpoint", "crash"))
        if fate == "checkpoint":
            worker.checkpoint()
            made_true += sent
        if fate != "no checkpoint":
            sent = []
        if fate == "crash":
            worker = worker.successor(pick)
    assert made_true + sent == fires_of_oracle(oracle, ticks)


def minute(strategy_id: str, *tickers: str, version: int = 1, mode: Mode | None = None) -> Strategy:
    return Strategy(strategy_id, "1m", frozenset(tickers), version=version, mode=mode)


def fired_by(worker: Worker, *events: Event) -> list[tuple[str, str]]:
    return [(fire.strategy_id, fire.ticker) for event in events for fire in worker.take([event])]


def test_a_strategy_that_is_gone_keeps_what_it_fired_through_any_number_of_recoveries() -> None:
    worker, pick = Worker(), seeded(1)
    fired_by(worker, minute("gone", "A", "B"), minute("here", "A", "B"), Tick("A", 0), Tick("B", 0))
    for now_ms in (MINUTE_MS, 2 * MINUTE_MS):
        worker.checkpoint()
        worker = worker.successor(pick, absent=frozenset({"gone"}))
        assert fired_by(worker, Tick("A", now_ms)) == [("here", "A")]  # so the row of A is written anew
    worker.checkpoint()
    worker = worker.successor(pick)
    back = minute("gone", "A", "B", "C", version=9)
    assert fired_by(worker, back, *(Tick(ticker, 1) for ticker in "ABC")) == [("gone", "C")]


def test_what_a_legacy_strategy_ran_as_a_whole_counts_for_its_tickers_and_for_no_others() -> None:
    worker, pick = Worker(), seeded(1)
    assert fired_by(worker, minute("s", "A", "B", mode=LEGACY), Tick("X", 0)) == [("s", "")]
    worker.checkpoint()
    worker = worker.successor(pick, absent=frozenset({"s"}))
    edited = minute("s", "B", "C", version=2)
    assert fired_by(worker, edited, Tick("B", 1), Tick("C", 1)) == []
    assert remembered(worker.shard)["B"]["s"] == 0
    assert "s" not in remembered(worker.shard).get("C", {})


def test_a_legacy_strategy_that_is_edited_before_the_checkpoint_leaves_its_runs_in_the_rows_too() -> None:
    worker, pick = Worker(), seeded(1)
    fired_by(worker, minute("s", "A", "B", mode=LEGACY), Tick("X", 0), minute("s", "C", version=2))
    worker.checkpoint()
    worker = worker.successor(pick)
    assert remembered(worker.shard) == {"A": {"s": 0}, "B": {"s": 0}}
    assert fired_by(worker, minute("s", "A", "C", version=3), Tick("A", 1), Tick("C", MINUTE_MS)) == [("s", "C")]


def test_what_a_global_strategy_ran_counts_for_every_ticker() -> None:
    worker, pick = Worker(), seeded(1)
    fired_by(worker, minute("s"), Tick("X", 0))
    worker.checkpoint()
    worker = worker.successor(pick)
    assert fired_by(worker, Tick("X", 1), minute("s", "A", version=2), Tick("A", 2)) == []
    assert fired_by(worker, Tick("A", MINUTE_MS)) == [("s", "A")]


def test_only_what_has_changed_is_written() -> None:
    worker = Worker()
    fired_by(worker, minute("s", "A", "B", "C"), Tick("A", 0), Tick("B", 0), Tick("C", 0))
    worker.checkpoint()
    update_rows, bucket_rows = len(worker.logs.last_update.records), len(worker.logs.last_bucket.records)
    fired_by(worker, Tick("A", 1), Tick("A", 2), Tick("B", MINUTE_MS), Tick("C", 0))
    worker.checkpoint()
    assert [each.key for each in worker.logs.last_update.records[update_rows:]] == [b"A", b"B"]
    assert [each.key for each in worker.logs.last_bucket.records[bucket_rows:]] == [b"B", POSITION_KEY]
    worker.checkpoint()
    assert [each.key for each in worker.logs.last_bucket.records[bucket_rows + 2 :]] == [POSITION_KEY]


def test_a_row_takes_little_more_than_a_byte_for_each_pair() -> None:
    worker = Worker()
    for k in range(200):
        worker.take([Strategy(f"s{k:03}", ("1m", "5m", "1h")[k % 3], frozenset({"A"}))])
    worker.take([Tick("A", 1_760_000_000_000)])
    worker.checkpoint()
    assert len(worker.logs.last_bucket.latest()[b"A"] or b"") < 1.1 * 200 + 30


def test_tickers_that_look_like_other_keys_are_kept_apart_from_them() -> None:
    worker, odd = Worker(), ("\0position", "\0sx", "\0", "\0t", "\0tA", "A")
    fired_by(worker, minute("x", *odd), *(Tick(ticker, 0) for ticker in odd))
    worker.checkpoint()
    successor = worker.successor(seeded(1))
    assert remembered(successor.shard) == remembered(worker.shard) == {ticker: {"x": 0} for ticker in odd}
    assert fired_by(successor, *(Tick(ticker, 1) for ticker in odd)) == []


def test_a_standby_takes_on_and_can_be_made_a_shard_at_any_time() -> None:
    worker, recovery = Worker(), Recovery()
    worker.take([minute("s", "A", "B", mode=LEGACY)])
    for now_ms in range(0, 5 * MINUTE_MS, MINUTE_MS):
        update_rows, bucket_rows = len(worker.logs.last_update.records), len(worker.logs.last_bucket.records)
        fired_by(worker, Tick("A", now_ms), Tick(f"T{now_ms}", now_ms))
        worker.checkpoint()
        recovery.last_update.take(run_of(worker.logs.last_update.records[update_rows:]))
        recovery.last_bucket.take(run_of(worker.logs.last_bucket.records[bucket_rows:]))
        shard = Shard(CONDITIONS)
        shard.index.ways.turns.update(worker.shard.index.ways.turns)
        restored = recovery.finish(shard)
        assert restored.position is not None
        assert restored.position.next_offset == worker.position
        assert remembered(shard) == remembered(worker.shard)
        shard.change(worker.standing["s"])
        assert state_of_shard(shard) == state_of_shard(worker.shard)


def test_without_a_position_the_rows_count_all_the_same() -> None:
    worker = Worker()
    fired_by(worker, minute("s", "A"), Tick("A", 0))
    worker.checkpoint()
    worker.logs.last_bucket.records.pop()
    successor = worker.successor(seeded(1))
    assert successor.position == 0
    assert fired_by(successor, Tick("A", 1)) == []


def test_log_numbers_go_on_where_they_were_also_where_the_last_strategies_are_gone() -> None:
    worker = Worker()
    fired_by(worker, minute("a", "A"), minute("b", "B"), Tick("A", 0), Tick("B", 0))
    worker.checkpoint()
    worker.logs.last_bucket.add(b"B", None)
    worker.logs.last_bucket.add(STRATEGY_KEY + b"b", None)
    worker = worker.successor(seeded(1))
    fired_by(worker, minute("c", "C"), Tick("C", 0))
    worker.checkpoint()
    assert {row.strategy_id: row.log_number for row in strategies_in(worker.logs).values()} == {"a": 0, "c": 2}
