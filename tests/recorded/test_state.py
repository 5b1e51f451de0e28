"""What stood at a time is what the oracles had by then."""

import random
from collections import defaultdict

import pytest

from streams.core.events import Clock, Strategy, Tick
from streams.core.flags import Control
from streams.core.limits import NEVER
from streams.kafka.partitions import Here, Homes
from streams.recorded.beside import Event, Stands
from streams.recorded.state import decided_up_to, of_strategy, of_ticker
from streams.recorded.telling import ShardOracle
from tests.recorded.made import BLOCKED, DAY_MINUTES, MINUTE_MS, PARTITIONS, START_MS, TICKERS, MadeDay


def oracles(day: MadeDay, at_ms: int) -> dict[int, ShardOracle]:
    """One oracle a shard, up to its first tick later than a time."""
    homes, found = Homes(PARTITIONS), dict[int, ShardOracle]()
    ticks = defaultdict[int, list[int]](list)
    for row, partition in enumerate(day.partition):
        ticks[partition].append(row)
    for partition in range(PARTITIONS):
        oracle = ShardOracle(day.conditions, day.beside, Here(partition, homes).__getitem__, "")
        oracle.turns |= day.beside.turns
        taking = day.beside.taking(partition)
        for each in day.beside.strategies:
            take(oracle, each)
        for row in ticks[partition]:
            if day.ts_ms[row] > at_ms:
                break
            for event in taking.before(day.offset[row]):
                take(oracle, event)
            codes = BLOCKED if day.blocked[row] else ()
            oracle.tick(Tick(day.names[row], day.ts_ms[row], conditions=codes))
        found[partition] = oracle
    return found


def take(oracle: ShardOracle, event: Event) -> None:
    """Let the oracle take what came in."""
    match event:
        case Stands(Strategy() as strategy, before):
            oracle.stand(strategy, before)
        case Stands():
            oracle.forget(event.strategy_id)
        case Clock():
            oracle.clock(event)
        case Control():
            oracle.set_flags(oracle.flags.with_control(event))


@pytest.mark.parametrize("seed", range(6))
def test_tickers_and_strategies_stand_as_the_oracles_have_them(seed: int) -> None:
    day = MadeDay(seed, turned=bool(seed % 2))
    at_ms = START_MS + random.Random(seed).randrange(DAY_MINUTES * MINUTE_MS)
    deciding, wanted, homes = decided_up_to(day, at_ms), oracles(day, at_ms), Homes(PARTITIONS)
    fired = 0
    for ticker in TICKERS:
        oracle, found = wanted[homes[ticker]], of_ticker(deciding, ticker)
        assert found["last_update"] == oracle.last_update.get(ticker)
        ran = {sid: buckets[ticker] for sid, buckets in oracle.last_bucket.items() if ticker in buckets}
        assert {sid: ms for sid, ms in found["last_bucket"].items() if sid in ran} == ran
        fired += len(ran)
    assert fired > 20
    for strategy in day.strategies:
        sid = strategy.strategy_id
        home, found = wanted[homes[sid]], of_strategy(deciding, sid)
        stands = home.strategies.get(sid)
        assert (found["version"], found["status"]) == ((stands.version, stands.status) if stands else (None, None))
        assert (found["last_run"] or NEVER) == home.last_trigger.get(sid, NEVER)
        assert found["stream_time"] == home.stream_ms
