"""The oracles of a made day, shard by shard: each is fed every event of it."""

from collections import defaultdict

from streams.core.events import Clock, Strategy, Tick
from streams.core.flags import Control
from streams.kafka.partitions import Here, Homes
from streams.recorded.beside import Event, Stands
from streams.recorded.telling import ShardOracle
from tests.recorded.made import BLOCKED, PARTITIONS, MadeDay


def oracles(day: MadeDay, at_ms: int, *, clocks_end_it: bool = False) -> dict[int, ShardOracle]:
    """One oracle a shard, up to its first tick later than a time, or its first clock record too."""
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
            events = [] if day.ts_ms[row] > at_ms else list(taking.before(day.offset[row]))
            ends = [clocks_end_it and isinstance(each, Clock) and each.ts_ms > at_ms for each in events]
            for event in events[: ends.index(True)] if any(ends) else events:
                take(oracle, event)
            if day.ts_ms[row] > at_ms or any(ends):
                break
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
