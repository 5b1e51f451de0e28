"""What the process that makes proposals tells Prometheus."""

from collections import Counter as Tally
from collections.abc import Mapping
from typing import Final

from streams.own_registry import OwnRegistry
from streams.trader.judging import BELOW, CLOSED, OPENED, PROPOSED, REPEATED, REPEATED_FILLS, TRIGGERS

TRIGGER_OUTCOMES: Final = (PROPOSED, BELOW, REPEATED)
FILL_KINDS: Final = {OPENED: "opened", CLOSED: "closed", REPEATED_FILLS: "repeated"}


class ProposalCounts(OwnRegistry):
    """Hears what becomes true."""

    def __init__(self) -> None:
        super().__init__()
        self.totals: Tally[str] = Tally()
        """Since this process began, by the words of `judging`, and `results`, `changes`, `refused`."""
        self.threshold: float | None = None
        self.trouble = ""
        """Why it does not go on; empty where it does, or stands by."""
        self._results = self._counter("tickgate_proposals_results", "Results that were taken.")
        self._triggers = self._counter("tickgate_proposals_triggers", "Triggers, by what became of them.", "outcome")
        self._fills = self._counter("tickgate_proposals_fills", "Fills, by what they did.", "kind")
        self._changes = self._counter(
            "tickgate_proposals_conviction_changes", "Settings of and looks at the threshold."
        )
        self._refused = self._counter("tickgate_proposals_refused", "Dead letters written, by reason.", "reason")
        self._unread = self._counter("tickgate_proposals_unread", "Records that are no results, by reason.", "reason")
        self._lost = self._counter("tickgate_proposals_lost", "Records deleted before they were read.")
        self._threshold = self._gauge("tickgate_proposals_min_conviction", "The conviction that a trigger needs.")
        self._works = self._gauge("tickgate_proposals_active", "1 while this process is the one that proposes.")
        self._lag = self._gauge("tickgate_proposals_lag", "Records of a partition still to be read.", "partition")
        self._file = self._gauge("tickgate_proposals_policy_refused", "1 while the policy file cannot be used.")

    def true(self, taken: int, counts: Mapping[str, int], changes: int, refused: Mapping[str, int]) -> None:
        """A step is committed."""
        self.totals.update({"results": taken, "changes": changes, "refused": sum(refused.values()), **counts})
        self._results.inc(taken)
        self._changes.inc(changes)
        for outcome in TRIGGER_OUTCOMES:
            self._triggers.labels(outcome).inc(counts.get(outcome, 0))
        for name, kind in FILL_KINDS.items():
            self._fills.labels(kind).inc(counts.get(name, 0))
        for word, count in refused.items():
            self._refused.labels(word).inc(count)

    def unread(self, word: str) -> None:
        """A record is no result; workers write its dead letter."""
        self.totals["unread"] += 1
        self._unread.labels(word).inc()

    def lost(self, count: int) -> None:
        """The broker deleted what was not read yet."""
        self._lost.inc(count)

    def stands(self, threshold: float, *, policy_refused: bool) -> None:
        """What a trigger needs now, and whether the file says something that cannot be used."""
        self.threshold = threshold
        self._threshold.set(threshold)
        self._file.set(policy_refused)

    def troubled(self, why: str) -> None:
        """It does not go on, and why; empty: it does, or it is not its turn."""
        self.trouble = why

    def works(self, *, now: bool) -> None:
        """Whether this process is the one."""
        self._works.set(now)
        if not now:
            self._lag.clear()

    def lag(self, partition: int, records: int) -> None:
        """So many are still to be read."""
        self._lag.labels(str(partition)).set(records)

    def drained(self) -> dict[str, float]:
        """What was done, in a line."""
        wanted = ("results", TRIGGERS, PROPOSED, BELOW, REPEATED, OPENED, CLOSED, "changes", "refused", "unread")
        threshold = {} if self.threshold is None else {"min_conviction": self.threshold}
        return {**{name: self.totals[name] for name in wanted}, **threshold}
