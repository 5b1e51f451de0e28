"""What is to be written, as transactions of a bounded size; each clears its flags once Redis has it.

    for part in parts(held, keys, 5_000):
        await wire.transaction([marker], also=part.packed)
        part.written()

A universe is replaced whole, in one transaction however large it is, so that nobody reads half of one.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

import numpy as np

from streams.core.columns import Int64s
from streams.views.redis.held import Held
from streams.views.redis.keys import Keys
from streams.views.redis.pairs import Bools
from streams.views.redis.wire import Command, Packed, pack

MEMBERS_AT_ONCE: Final = 10_000
"""Of one command that fills a set."""


class Part(NamedTuple):
    """Some commands, how many things they write, and what to do once they count."""

    packed: Packed
    size: int
    written: Callable[[], None]


def parts(held: Held, keys: Keys, most: int) -> Iterator[Part]:
    """All that is to be written now, so many things at a time: strategies, then updates, then buckets."""
    yield from _strategies(held, keys, most)
    yield from _updates(held, keys, most)
    yield from _buckets(held, keys, most)


def _strategies(held: Held, keys: Keys, most: int) -> Iterator[Part]:
    left = iter(sorted(held.strategies_to_write))
    commands: list[Command] = []
    numbers: list[int] = []
    count = 0

    def part() -> Part:
        done = numbers.copy()
        return Part(pack(commands), count, lambda: held.strategies_to_write.difference_update(done))

    for number in left:
        strategy_id = held.ids[number]
        commands.append(("DEL", keys.universe(strategy_id)))
        if held.alive[number]:
            tickers = sorted(held.universe_of(strategy_id))
            key, many = keys.universe(strategy_id), MEMBERS_AT_ONCE
            commands += [("SADD", key, *tickers[at : at + many]) for at in range(0, len(tickers), many)]
            count += len(tickers)
        else:
            commands.append(("DEL", keys.last(strategy_id)))
        numbers.append(number)
        count += 1
        if count >= most:
            yield part()
            commands, numbers, count = [], [], 0
    if numbers:
        yield part()


def _updates(held: Held, keys: Keys, most: int) -> Iterator[Part]:
    left = held.updates_left()
    for first in range(0, len(left), most):
        which = left[first : first + most]
        command: list[str | bytes | int] = ["ZADD", keys.updates, "GT"]
        for number, ts_ms in zip(which.tolist(), held.update_ms[which].tolist(), strict=True):
            command += (ts_ms, held.names[number])
        yield Part(pack([command]), len(which), partial(_clear, held.updates_to_write, which))


def _buckets(held: Held, keys: Keys, most: int) -> Iterator[Part]:
    left = held.pairs_left()
    for first in range(0, len(left), most):
        which = left[first : first + most]
        yield Part(pack(_hashes(held, keys, which)), len(which), partial(_clear, held.pairs.to_write, which))


def _hashes(held: Held, keys: Keys, which: Int64s) -> list[Command]:
    """A command for each strategy: its pairs lie together."""
    strategies = held.pairs.strategies(which)
    firsts = np.flatnonzero(np.append(True, strategies[1:] != strategies[:-1]))
    counts = np.diff(np.append(firsts, len(which))).tolist()
    pairs = zip(held.pairs.tickers(which).tolist(), held.pairs.bucket_ms[which].tolist(), strict=True)
    commands: list[Command] = []
    for number, count in zip(strategies[firsts].tolist(), counts, strict=True):
        command: list[str | bytes | int] = ["HSET", keys.last(held.ids[number])]
        for ticker, bucket_ms in islice(pairs, count):
            command += (held.names[ticker], bucket_ms)
        commands.append(command)
    return commands


def _clear(flags: Bools, which: Int64s) -> None:
    flags[which] = False
