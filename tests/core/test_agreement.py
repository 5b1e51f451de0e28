"""Shards that agree on turns, whatever the order and the delays in which they hear, die and come back.

A simulation by a seed. What shards tell stands on a log, which each reads at a pace of its own; so do the versions and
the flags. A shard that dies goes on from its last checkpoint, with the log and the versions as compaction left them.
At least once it has by then sent what it had decided, and whoever comes after it may send the same again.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from random import Random
from typing import NamedTuple

import pytest

from streams.core import agreement as agreement_module
from streams.core.agreement import Agreement, Call, Called, Decision, Ledger, Note, Told
from streams.core.events import Clock, Fire, Mode, Status, Strategy, Tick
from streams.core.flags import PER_TICKER_THROTTLE, Control, Flags, Scope
from streams.core.limits import NEVER
from streams.core.oracle import Oracle
from streams.core.promise import Promise
from streams.core.shard import Fires, Shard
from streams.core.state_rows import StateRows
from streams.core.tick_columns import newest_ms, part_of
from streams.core.turning import Turning
from streams.core.turns import UNTURNED, Turn, Way, turn_at, universe_before
from tests.core.changelogs import Changelogs, remembered
from tests.core.histories import CONDITIONS, seeded, ticks_of

SHARDS = 4
TICKERS = tuple(f"T{n}" for n in range(8))
IDS = ("s0", "s1", "s2", "s3", "s4")
FRAMES = ("1m", "1m", "5m", "1h")
STEP_MS = 9_000


def shard_of(name: str, shards: int) -> int:
    return sum(name.encode()) % shards


class Fired(NamedTuple):
    """What fired, and in which shard."""

    shard: int
    fire: Fire
    version: int


class World:
    """What all shards share: the logs."""

    def __init__(self, seed: int, shards: int, *, sends_ahead: bool) -> None:
        self.pick, self.shards, self.sends_ahead = Random(seed), shards, sends_ahead
        self.told: list[Told] = []
        self.told_last: dict[str, Told] = {}
        """What compaction would leave of it."""
        self.changes: list[Strategy | Control] = []
        self.standing: dict[str, Strategy] = {}
        self.before: dict[str, frozenset[str]] = {}
        self.ticks: list[list[Tick | Clock]] = [[] for _ in range(shards)]
        self.now_ms = 1_760_000_000_000
        self.fired: list[Fired] = []

    def change(self) -> None:
        """A version, or a flag."""
        pick = self.pick
        if not pick.randrange(3):
            scope = pick.choice([Scope.ALL, Scope.PERCENTAGE, Scope.STRATEGY])
            target = pick.choice(IDS) if scope is Scope.STRATEGY else ""
            value = pick.choice([True, False, None])
            self.changes.append(Control(PER_TICKER_THROTTLE, value, scope, target, pick.choice([20.0, 60.0])))
            return
        sid = pick.choice(IDS)
        old = self.standing.get(sid)
        universe = frozenset(pick.sample(TICKERS, pick.choice((0, 2, 4, 4))))
        mode = pick.choice([None, None, Mode.LEGACY, Mode.PER_TICKER])
        new = Strategy(sid, pick.choice(FRAMES), universe, version=old.version + 1 if old else 1, mode=mode)
        if old and old.status is Status.ACTIVE and not pick.randrange(4):
            new = replace(old, status=Status.PAUSED, version=old.version + 1)
        self.before[sid] = universe_before(old, self.before.get(sid, frozenset()), new)
        self.standing[sid] = new
        self.changes.append(new)

    def tick(self) -> None:
        """Time moves on."""
        self.now_ms += self.pick.randrange(2 * STEP_MS)
        late_ms = self.pick.choice((0, 0, 0, 1, 70_000))
        ticker = self.pick.choice(TICKERS)
        if self.pick.randrange(8):
            self.ticks[shard_of(ticker, self.shards)].append(Tick(ticker, self.now_ms - late_ms))
        else:
            self.ticks[self.pick.randrange(self.shards)].append(Clock(self.now_ms - late_ms))

    def tell(self, told: Iterable[Told]) -> None:
        """Put it on the log."""
        for each in told:
            self.told.append(each)
            self.told_last.pop(key_of(each), None)
            self.told_last[key_of(each)] = each


def key_of(told: Told) -> str:
    """By what the topic is compacted."""
    match told:
        case Call():
            return f"call/{told.home}"
        case Note():
            return f"note/{told.home}/{told.shard}"
        case Decision():
            return f"decision/{told.strategy_id}"


class Step(NamedTuple):
    """What was decided, and what fired."""

    batch: list[Tick | Clock]
    fires: Fires


class Sim:
    """One shard, its owner of the moment, and what its changelog keeps."""

    def __init__(self, world: World, number: int) -> None:
        self.world, self.number = world, number
        self.logs = Changelogs()
        self.position = 0
        self.lived: list[Strategy | Tick | Clock] = []
        """What its checkpoints stand on, in order."""
        self.lived_changes = 0
        self.fires: list[Fire] = []
        self.begin(first=True)

    def is_mine(self, name: str) -> bool:
        return shard_of(name, self.world.shards) == self.number

    def begin(self, *, first: bool = False) -> None:
        """Come to own it: the last row of each key, and all logs as they stand."""
        world = self.world
        self.shard = Shard(CONDITIONS, owns=self.is_mine, is_home=self.is_mine, alone=False)
        self.rows, self.position, promised_ms = StateRows(self.shard), 0, NEVER
        if not first:
            self.rows, position = self.logs.restore(self.shard, seeded(world.pick.randrange(1 << 30)))
            self.position, promised_ms = (position.next_offset, position.promised_ms) if position else (0, NEVER)
        self.promise = Promise(promised_ms, needed=world.sends_ahead)
        agreement = Agreement(self.number, world.shards, self.is_mine, sends_ahead=world.sends_ahead)
        self.turning = Turning(self.shard, agreement)
        ledger, flags = Ledger(), Flags()
        for told in world.told_last.values():
            ledger.take(told)
        for change in world.changes:
            flags = flags.with_control(change) if isinstance(change, Control) else flags
        self.shard.set_flags(flags)
        self.turning.stand(ledger, promised_ms)
        for sid, strategy in world.standing.items():
            self.shard.stand(strategy, world.before[sid])
        self.heard, self.changed, self.flags = len(world.told), len(world.changes), flags
        self.steps: list[Step] = []

    @property
    def is_done(self) -> bool:
        """Whether it has heard all, told all, and decided all its ticks."""
        heard = (self.heard, self.changed) == (len(self.world.told), len(self.world.changes))
        return heard and not self.turning.has_to_tell and self.position == len(self.world.ticks[self.number])

    def hear(self) -> None:
        """Take in some of what there is."""
        world = self.world
        upto = world.pick.randint(self.changed, len(world.changes))
        for change in world.changes[self.changed : upto]:
            if isinstance(change, Control):
                self.flags = self.flags.with_control(change)
                self.shard.set_flags(self.flags)
            else:
                self.shard.change(change)
        self.changed = upto
        upto = world.pick.randint(self.heard, len(world.told))
        for told in world.told[self.heard : upto]:
            self.turning.take(told)
        self.heard = upto

    def checkpoint(self, *, dies: bool = False) -> None:
        """Decide some ticks, a few times over where executions go ahead of rows; or die before there are rows."""
        told = self.turning.tell(lead_ms=self.world.pick.choice((0, 0, 30_000, 400_000)))
        for _ in range(self.world.pick.randint(1, 3) if self.world.sends_ahead else 1):
            self.steps.append(self._step())
        if self.world.sends_ahead:
            self._send()
        if dies:
            self.begin()
            return
        if not self.world.sends_ahead:
            self._send()
        self._make_true(told)

    def _step(self) -> "Step":
        """Decide some ticks, as far as it may go."""
        world, at = self.world, self.position
        batch = world.ticks[self.number][at : at + world.pick.randint(0, 6)]
        ticks = ticks_of(self.shard.index.tickers, batch)
        free = self.turning.free(ticks, begun=False, until_ms=self.promise.until_ms)
        fires = self.shard.step(part_of(ticks, 0, free.ticks))
        self.rows.note(fires)
        self.position += free.ticks
        if free.outran:
            self.promise.must_reach(newest_ms(ticks))
        return Step(batch[: free.ticks], fires)

    def _send(self) -> None:
        for _, fires in self.steps:
            for fire in self.shard.named(fires):
                version = self.shard.index.entries[fire.strategy_id].strategy.version
                self.world.fired.append(Fired(self.number, fire, version))

    def _make_true(self, told: list[Told]) -> None:
        versions = self.world.changes[self.lived_changes : self.changed]
        self.lived += [each for each in versions if isinstance(each, Strategy)]
        self.lived_changes = self.changed
        for batch, fires in self.steps:
            self.lived += batch
            self.fires += self.shard.named(self.shard.in_order(fires, len(batch)))
        self.steps = []
        self.world.tell(told)
        promised_ms = self.promise.tell(self.shard.stream_ms)
        self.logs.append(self.rows.encode(self.position, promised_ms=promised_ms))
        self.promise.keep()


def universe_of(world: World, strategy_id: str, version: int) -> frozenset[str]:
    changes = (each for each in world.changes if isinstance(each, Strategy))
    return next(each.universe for each in changes if (each.strategy_id, each.version) == (strategy_id, version))


def play(seed: int, shards: int, *, sends_ahead: bool, steps: int = 400) -> tuple[World, list[Sim]]:
    """A story, and then no more changes until nothing is left to do."""
    world = World(seed, shards, sends_ahead=sends_ahead)
    for _ in IDS:
        world.change()
    sims = [Sim(world, number) for number in range(shards)]
    for _ in range(steps):
        match world.pick.randrange(12):
            case 0:
                world.change()
            case 1 | 2 | 3 | 4:
                world.tick()
            case _:
                sim = world.pick.choice(sims)
                sim.hear()
                sim.checkpoint(dies=not world.pick.randrange(15))
    for _ in range(3_000):
        sim = world.pick.choice(sims)
        sim.hear()
        sim.checkpoint()
        if all(each.is_done for each in sims):
            break
    return world, sims


def assert_holds(seed: int, shards: int = SHARDS, *, sends_ahead: bool) -> Counter[str]:
    """Never two ways in a bucket, never a run twice but what was sent ahead, everyone agrees, nobody waits for ever."""
    world, sims = play(seed, shards, sends_ahead=sends_ahead)
    assert all(sim.is_done for sim in sims), f"seed {seed}: {[sim.turning.told_why() for sim in sims]}"
    for sim in sims:
        assert sim.turning.agreement.ledger.decisions == sims[0].turning.agreement.ledger.decisions, f"seed {seed}"
    decisions = sims[0].turning.agreement.ledger.decisions
    ran: Counter[tuple[str, str, int]] = Counter()
    seen: Counter[str] = Counter(turns=sum(len(each.turns) - 1 for each in decisions.values()))
    for shard, fire, version in world.fired:
        sid, decision = fire.strategy_id, decisions.get(fire.strategy_id)
        turn = turn_at(decision.turns if decision else UNTURNED, fire.bucket_ms)
        assert turn is not None
        assert turn.way is (Way.PAIRS if fire.ticker else Way.WHOLE), f"seed {seed}: {fire} in shard {shard}"
        seen[turn.way] += 1
        universe = {fire.ticker} if fire.ticker else universe_of(world, sid, version) or TICKERS
        ran.update((sid, ticker, fire.bucket_ms) for ticker in universe)
    assert sends_ahead or max(ran.values(), default=1) == 1, f"seed {seed}: {ran.most_common(3)}"
    for sim in sims:
        assert_as_the_oracle_has_it(sim, seed)
    return seen


class PartOracle(Oracle):
    """The oracle over one shard, with all turns that are decided in the end."""

    def __init__(self, sim: Sim) -> None:
        super().__init__(CONDITIONS)
        self.sim = sim
        self.turns |= {sid: each.turns for sid, each in sim.turning.agreement.ledger.decisions.items()}

    def _turn_if_wanted(self, sid: str) -> None:
        """All that is wanted is among the turns."""

    def _decide(self, sid: str, turn: Turn | None) -> None:
        super()._decide(sid, turn)
        if not self.sim.is_mine(sid):
            self.whole.discard(sid)

    def start_pairs(self, sid: str, tickers: Iterable[str]) -> None:
        super().start_pairs(sid, filter(self.sim.is_mine, tickers))


def assert_as_the_oracle_has_it(sim: Sim, seed: int) -> None:
    """The shard fired, and remembers, what the oracle does that has always known every turn."""
    oracle, fires = PartOracle(sim), list[Fire]()
    for event in sim.lived:
        if isinstance(event, Strategy):
            oracle.change(event)
        else:
            fires += oracle.clock(event) if isinstance(event, Clock) else oracle.tick(event)
    assert sim.fires == fires, f"seed {seed}, shard {sim.number}"
    sim.rows.encode(sim.position)  # so that whole runs are remembered
    pairs, entries = remembered(sim.shard), sim.shard.index.entries
    for sid, ticker in product(entries, filter(sim.is_mine, TICKERS)):
        is_ms = max(pairs.get(ticker, {}).get(sid, NEVER), entries[sid].floor_ms)
        must_be_ms = max(oracle.last_bucket[sid].get(ticker, NEVER), oracle.every_ticker_ran.get(sid, NEVER))
        assert is_ms == must_be_ms, f"seed {seed}, shard {sim.number}, {sid} on {ticker}"


@pytest.mark.parametrize("sends_ahead", [False, True], ids=["exactly_once", "at_least_once"])
@pytest.mark.parametrize("first", range(0, 160, 20))
def test_no_bucket_is_ever_decided_in_two_ways_and_nobody_waits_for_ever(first: int, *, sends_ahead: bool) -> None:
    seen: Counter[str] = Counter()
    for seed in range(first, first + 20):
        seen += assert_holds(seed, sends_ahead=sends_ahead)
    assert seen["turns"] > 100
    assert min(seen[Way.PAIRS], seen[Way.WHOLE]) > 100


@pytest.mark.parametrize("sends_ahead", [False, True], ids=["exactly_once", "at_least_once"])
def test_one_shard_holds_to_one_way_through_all_its_deaths(*, sends_ahead: bool) -> None:
    for seed in range(40):
        assert_holds(seed, 1, sends_ahead=sends_ahead)


def test_one_shard_agrees_with_itself_in_one_checkpoint() -> None:
    alone = Agreement(0, 1, lambda _: True)
    assert alone.tell({"s": Way.WHOLE}, 5) == [
        Call(0, 1, (Called("s", Way.WHOLE),)),
        Note(0, 1, 0, 5),
        Decision("s", 1, (*UNTURNED, Turn(6, Way.WHOLE))),
        Call(0, 1, ()),
    ]
    assert not alone.has_to_tell([])


def test_who_sends_ahead_decides_on_notes_that_stand() -> None:
    alone = Agreement(0, 1, lambda _: True, sends_ahead=True)
    assert alone.tell({"s": Way.WHOLE}, 5) == [Call(0, 1, (Called("s", Way.WHOLE),)), Note(0, 1, 0, 5)]
    assert alone.bound() == {"s": 5}
    assert alone.has_to_tell([])
    assert alone.tell({"s": Way.WHOLE}, 5) == [Decision("s", 1, (*UNTURNED, Turn(6, Way.WHOLE))), Call(0, 1, ())]


def test_a_home_decides_behind_the_newest_bound_and_not_before_all_have_noted() -> None:
    home = Agreement(0, 3, lambda _: True)
    assert home.tell({"s": Way.WHOLE}, 5) == [Call(0, 1, (Called("s", Way.WHOLE),)), Note(0, 1, 0, 5)]
    home.take(Note(0, 1, 1, 900), 6)
    assert not home.has_to_tell(["s"])
    assert home.missing() == [2]
    home.take(Note(0, 1, 2, NEVER), 7)
    told = home.tell({"s": Way.WHOLE}, 7)
    assert told == [Decision("s", 1, (*UNTURNED, Turn(901, Way.WHOLE))), Call(0, 1, ())]


def test_a_shard_is_bound_from_when_it_hears_of_a_call_and_whoever_comes_after_it_too() -> None:
    call = Call(2, 7, (Called("s", Way.PAIRS),))
    shard = Agreement(1, 3, lambda _: False)
    shard.take(call, 100)
    shard.bind(250)
    assert shard.bound() == {"s": 100}
    (note,) = shard.tell({}, 250)
    assert note == Note(2, 7, 1, 100)
    ledger = Ledger()
    ledger.take(call)
    ledger.take(note)
    successor = Agreement(1, 3, lambda _: False, ledger)
    successor.bind(180)
    assert successor.bound() == {"s": 100}
    assert not successor.has_to_tell([])
    successor.take(call._replace(called=()), 300)
    assert successor.bound() == {}


def test_what_comes_again_is_not_new() -> None:
    ledger, opened = Ledger(), Call(0, 1, (Called("s", Way.WHOLE),))
    closed, newer = opened._replace(called=()), opened._replace(number=2)
    assert [ledger.take(each) for each in (opened, closed, opened, closed, newer, closed)] == [True] * 2 + [
        False,
        False,
        True,
        False,
    ]
    assert ledger.open_calls() == [newer]
    decision = Decision("s", 2, UNTURNED)
    assert [ledger.take(each) for each in (decision, decision._replace(number=1))] == [True, False]


def test_no_more_strategies_are_called_than_one_value_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement_module, "MAX_TURNS_CALLED", 2)
    alone = Agreement(0, 1, lambda _: True)
    told = alone.tell(dict.fromkeys("abc", Way.WHOLE), NEVER)
    assert [len(each.called) for each in told if isinstance(each, Call)] == [2, 0, 1, 0]
    assert [each.strategy_id for each in told if isinstance(each, Decision)] == ["a", "b", "c"]
