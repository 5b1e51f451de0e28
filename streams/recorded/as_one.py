"""A day that one shard decides as many would: all stand alike from the start on, and every strategy goes by pairs.

What a pair fires hangs on the ticks of its ticker, which are all of one partition, in their order. So it does not
matter in which shard it is, but for what comes in on the way, from another tick on in each, and for strategies that
decide as a whole, by the time of their home. One shard takes the strategies once, and makes one step of a run.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from streams.core.events import Status, Strategy
from streams.core.flags import NO_FLAGS
from streams.core.limits import MAX_PAIRS
from streams.core.turns import Way, way_wanted
from streams.recorded.beside import Beside
from streams.recorded.merge_kernel import Decided, put
from streams.recorded.parted import Part, Parted
from streams.recorded.placed import Refused

NO_ORDER: Final = np.zeros(0, np.int64)
"""Parts that are one are merged with nothing any more."""


def goes_as_one(beside: Beside) -> bool:
    """Whether one shard does."""
    alike = not beside.starts and not beside.turns
    return alike and not _takes_more(beside) and _all_by_pairs(beside)


def as_one(beside: Beside) -> Beside:
    """The same for one shard."""
    return beside._replace(shards=1, others={}, entries={})


def _takes_more(beside: Beside) -> bool:
    """Whether any shard takes anything beside its ticks behind the start."""
    ends = dict[tuple[str, int], int]()
    for entry in (entry for entries in beside.entries.values() for entry in entries):
        for place, end in entry.inputs.items():
            ends[place] = max(end, ends.get(place, 0))
    return any(events and events[0][0] < ends.get(place, 0) for place, events in beside.others.items())


def _all_by_pairs(beside: Beside) -> bool:
    """Whether every strategy decides ticker by ticker, and one shard has room for all."""
    flags = NO_FLAGS
    for control in beside.controls:
        flags = flags.with_control(control)
    strategies = [each.stands for each in beside.strategies if isinstance(each.stands, Strategy)]
    if sum(len(each.universe) for each in strategies) > MAX_PAIRS:
        return False
    active = (each for each in strategies if each.status is Status.ACTIVE)
    modes = ((each, flags.mode(each.strategy_id, beside.default_mode)) for each in active)
    return all(way_wanted(strategy, mode) is Way.PAIRS for strategy, mode in modes)


def gathered(run: Parted) -> Parted:
    """The parts as one of the first partition, the ticks in the order of all."""
    if not run.parts:
        return run
    names = run.parts[0].names
    assert all(part.names is names for part in run.parts), "the parts of a day share their names"
    ticks = sum(map(len, run.parts))
    out = Decided._make(np.empty(ticks, kind) for kind in (np.int64, np.int32, np.int64, np.uint8))
    for part, places in zip(run.parts, run.places, strict=True):
        put(places, Decided(part.offset, part.name_of, part.ts_ms, part.moves_price), out)
    one = Part(0, out.offset, names, out.name_of, out.ts_ms, out.moves_price, NO_ORDER)
    return Parted([one], [np.arange(ticks)])


def all_gathered(
    runs: Iterable[tuple[Parted | None, list[Refused]]],
) -> Iterator[tuple[Parted | None, list[Refused]]]:
    """The same for run after run."""
    for run, refused in runs:
        yield run and gathered(run), refused
