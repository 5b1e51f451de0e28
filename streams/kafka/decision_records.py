"""Decisions of the strategies that were asked for, as records of `decisions`, and as lines of the log for debugging."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

from streams.core.asked import Asked
from streams.core.decisions import FIRED, NO_UPDATE, Decision, Recorder
from streams.core.limits import MAX_ASKED_PAIRS, MAX_ASKED_STRATEGIES
from streams.core.records import NO_RECORDS, EncodedRecords, records_of
from streams.core.shard import Fires, Shard, Ticks
from streams.kafka.codec import Encoder

log = logging.getLogger(__name__)

NAMED_IN_LOG = 20
"""Tickers in one line."""

SKIPPED = {
    "bucket_dup": "all changed tickers already triggered in bucket",
    "late": "all changed tickers are late",
    "no_bucket": "no changed ticker has a bucket",
}


class Place(NamedTuple):
    """Which ticks were looked at."""

    topic: str
    partition: int
    first_offset: int
    last_offset: int


class DecisionRecords:
    """Of one shard."""

    def __init__(self, shard: Shard, asked: Asked, encoder: Encoder) -> None:
        self._shard, self._encoder = shard, encoder
        self._recorder = Recorder(shard.index, asked)

    def step(self, ticks: Ticks) -> Fires:
        """Let the shard make a step, and keep what it does."""
        self._recorder.before(ticks)
        fires = self._shard.step(ticks)
        self._recorder.after(fires)
        return fires

    def take(self, place: Place) -> EncodedRecords:
        """What the steps since the last time did with each strategy that is asked for."""
        decisions = self._recorder.take()
        self._say(place, decisions)
        if not decisions:
            return NO_RECORDS
        ts_ms = max(self._shard.stream_ms, 0)
        records = [
            (each.strategy.strategy_id.encode(), self._encoder.encode("decision", fields_of(each, place, ts_ms)))
            for each in decisions
        ]
        return records_of(records, ts_ms)

    def _say(self, place: Place, decisions: Sequence[Decision]) -> None:
        for strategy_id in self._recorder.left_out:
            form = "shard %d: decisions of %r are left out: it is past %d strategies or %d pairs. Ask for fewer"
            log.warning(form, place.partition, strategy_id, MAX_ASKED_STRATEGIES, MAX_ASKED_PAIRS)
        self._recorder.left_out.clear()
        if log.isEnabledFor(logging.DEBUG):
            for each in decisions:
                log.debug("%s", line_of(each))


def fields_of(decision: Decision, place: Place, ts_ms: int) -> dict[str, object]:
    """A decision as its schema has it."""
    strategy = decision.strategy
    return {
        "strategy_id": strategy.strategy_id,
        "strategy_version": strategy.version,
        "mode": str(decision.mode),
        "timeframe": strategy.timeframe,
        "outcome": decision.outcome,
        "bucket_ms": decision.bucket_ms,
        "ts": ts_ms,
        "looked_at": place._asdict(),
        "universe": decision.universe,
        "updated": decision.updated,
        "changed": decision.changed,
        "counts": decision.counts,
        "tickers": [each._asdict() for each in decision.said],
        "left_out": decision.left_out,
    }


def line_of(decision: Decision) -> str:
    """A decision as a line for the eye, in the words of old."""
    strategy_id = decision.strategy.strategy_id
    if decision.outcome == FIRED:
        return f"Processing strategy {strategy_id} with {fired_of(decision)}"
    if decision.outcome == NO_UPDATE:
        why = f"no universe tickers updated ({decision.universe} in universe, {decision.updated} updated)"
    else:
        why = f"{SKIPPED[decision.outcome]} ({decision.changed} changed, 0 final)"
    return f"Strategy {strategy_id} skipped - {why}"


def fired_of(decision: Decision) -> str:
    """What is run."""
    fired = [each.ticker for each in decision.said if each.outcome == FIRED]
    if not any(fired):
        return "its whole universe"
    named, count = ", ".join(fired[:NAMED_IN_LOG]), decision.counts[FIRED]
    return f"{count} tickers: [{named}{', ...' if count > NAMED_IN_LOG else ''}]"
