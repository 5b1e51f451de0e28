"""Whoever reads `strategy-changes`, whenever and whatever compaction has left by then, comes to the same strategies.

What Kafka promises: of one key the last record stays, what vanishes are the older ones, up to wherever the cleaner has
come; a tombstone vanishes at a later cleaning. A reader under way is not overtaken by the cleaner:
`min.compaction.lag.ms` is a day, and to read all takes seconds.
"""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from streams.core.events import Status, Strategy, Tombstone
from streams.core.hidden import HiddenStrategies, mended_version
from streams.kafka.bad_values import Reason
from streams.kafka.strategy_fold import Read, note_hidden, put

IDS = ("a", "b", "c")
BROKEN = Reason("truncated", "it is cut short", "send it whole")


class Kept(NamedTuple):
    """A record in the log. A broken one is under a key too."""

    offset: int
    key: str
    found: Read


class Reader:
    """Folds what it reads, as workers and commands do."""

    def __init__(self) -> None:
        self.position = 0
        self.strategies: dict[str, Strategy] = {}

    def read(self, log: Sequence[Kept], most: int = 1 << 30) -> None:
        """Go on by so many records."""
        for each in [each for each in log if each.offset >= self.position][:most]:
            put(self.strategies, each.found)
            self.position = each.offset + 1


class Topic:
    """One partition, and whoever reads it."""

    def __init__(self, rng: Random) -> None:
        self.rng, self.log, self.end, self.cleaned = rng, list[Kept](), 0, 0
        self.live, self.hidden = Reader(), HiddenStrategies()
        self.slow: list[Reader] = []

    def append(self, key: str, found: Read) -> None:
        """Write a record. The owner of the first shard is no slower than a reader that has read all."""
        self.log.append(Kept(self.end, key, found))
        self.end += 1
        self.live.position = self.end
        refused = isinstance(put(self.live.strategies, found), Reason)
        stands = self.live.strategies.get(key)
        note_hidden(self.hidden, key, 0, found, stands.version if stands and not refused else None)

    def mend(self) -> None:
        """Write what is hidden, as that owner does: within seconds, and the cleaner leaves records alone for a day."""
        for key, hidden in self.hidden.items():
            version = mended_version(self.live.strategies, key, hidden)
            self.append(key, replace(self.live.strategies[key], version=version) if version else Tombstone(key))
        assert not list(self.hidden.items())

    def clean(self) -> None:
        """Let the cleaner look at the log up to somewhere."""
        reached = min([self.end, *(reader.position for reader in self.slow)])
        upto, before = self.rng.randint(min(self.cleaned, reached), reached), self.cleaned
        last = {each.key: each.offset for each in self.log if each.offset < upto}
        self.log = [
            each
            for each in self.log
            if each.offset >= upto
            or (each.offset == last[each.key] and not (isinstance(each.found, Tombstone) and each.offset < before))
        ]
        self.cleaned = max(before, upto)


def a_record(rng: Random, key: str, written: Sequence[Strategy]) -> Read:
    """Anything: the next version, an old one again, one from nowhere, rubbish, a tombstone."""
    match rng.randrange(8):
        case 0 | 1:
            return Tombstone(key)
        case 2 if written:
            return rng.choice(written)
        case 3:
            return BROKEN
        case _:
            version = rng.choice((1, len(written) + 1, rng.randint(1, 12)))
            return Strategy(key, rng.choice(("1m", "5m")), status=rng.choice(list(Status)), version=version)


@given(st.integers(0, 1 << 40))
def test_early_late_and_slow_readers_come_to_the_same_strategies(seed: int) -> None:
    rng = Random(seed)
    topic, written = Topic(rng), dict[str, list[Strategy]]()
    for _ in range(rng.randint(1, 60)):
        match rng.randrange(5):
            case 0:
                topic.mend()
                topic.clean()
            case 1:
                topic.slow = [each for each in topic.slow if each.position < topic.end]
                topic.slow.append(Reader())
                topic.slow[-1].read(topic.log, rng.randint(1, 5))
            case 2 if topic.slow:
                rng.choice(topic.slow).read(topic.log, rng.randint(1, 5))
            case _:
                key = rng.choice(IDS)
                record = a_record(rng, key, written.get(key, []))
                if isinstance(record, Strategy):
                    written.setdefault(key, []).append(record)
                topic.append(key, record)
        if rng.randrange(2):
            continue
        topic.mend()
        late = Reader()
        late.read(topic.log)
        assert late.strategies == topic.live.strategies, f"seed {seed}"
    for reader in topic.slow:
        reader.read(topic.log)
        assert reader.strategies == topic.live.strategies, f"seed {seed}"
