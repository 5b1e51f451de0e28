"""Which pairs of one partition were handed out lately, so that repeats can be left out.

What is left out has been seen for certain: the same run, strategy, bucket, scope and ticker. Nothing is left out on
suspicion, such as a bucket that is older than the last one. What has been forgotten comes again.

Two generations: the young one takes what is new; when it is full it becomes the old one, and the old one is forgotten.
So at least the last `most` pairs are known, and at most twice as many are held.
"""

import sys
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final, NamedTuple

from streams.consumer.execution import Execution

EVERY_TICKER: Final = ("",)
"""Stands for the whole universe, which is one thing to remember. Kept apart from tickers by the scope."""

NONE: Final[AbstractSet[str]] = frozenset()


class Bucket(NamedTuple):
    """What tickers are remembered under."""

    run_id: str
    strategy_id: str
    bucket_ms: int
    scope: str


class Seen:
    """The pairs handed out lately."""

    def __init__(self, most: int) -> None:
        assert most > 0, "a memory without room would be none"
        self._most = most
        self._young: dict[Bucket, set[str]] = {}
        self._old: dict[Bucket, set[str]] = {}
        self._young_pairs = self._old_pairs = 0

    def __len__(self) -> int:
        return self._young_pairs + self._old_pairs

    def unseen(self, execution: Execution) -> Execution | None:
        """Remember an execution; returns what of it is new, None where nothing is."""
        bucket = Bucket(execution.run_id, execution.strategy_id, execution.bucket_ms, execution.scope)
        asked = EVERY_TICKER if execution.is_whole_universe else execution.tickers
        each_once = dict.fromkeys(asked)  # else the first time of one may be forgotten by the second
        new = tuple(ticker for ticker in each_once if self._is_new(bucket, ticker))
        if not new:
            return None
        return execution if len(new) == len(asked) else replace(execution, tickers=new)

    def _is_new(self, bucket: Bucket, ticker: str) -> bool:
        if ticker in self._young.get(bucket, NONE) or ticker in self._old.get(bucket, NONE):
            return False
        if self._young_pairs == self._most:
            self._old, self._old_pairs = self._young, self._young_pairs
            self._young, self._young_pairs = {}, 0
        self._young.setdefault(bucket, set()).add(sys.intern(ticker))
        self._young_pairs += 1
        return True
