"""Roll-out of the per-ticker throttle: what the shadows of all shards have seen together, and whether it may go on.

seen = together(reports, partitions)   # one report for each shard
refusals = judge(seen, Bounds())       # empty: it may advance
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from streams.core.limits import NEVER
from streams.core.shadow import ShadowCounts

HOUR_MS: Final = 3_600_000
NO_REPORT: Final = "it is no report of a shard; run the same release everywhere"
MOST_NAMED: Final = 20
"""Strategies with missed alerts that are named."""


class Report(NamedTuple):
    """What the shadow of one shard has counted."""

    shard: int
    since_ms: int
    """In event time; NEVER where nothing has come yet."""
    until_ms: int
    ticks: int
    strategies: int
    """Compared, and at home there."""
    left_out: int
    """Not compared, as there are too many."""
    counts: ShadowCounts
    missed: Mapping[str, int]
    """The strategies with the most missed alerts."""


class Seen(NamedTuple):
    """What all of them have."""

    silent: Sequence[int]
    """Shards that no report is of."""
    observed_ms: int
    """How long, in event time, of the shard that has seen least."""
    ticks: int
    strategies: int
    left_out: int
    counts: ShadowCounts
    missed: Mapping[str, int]

    @property
    def new_runs(self) -> int:
        """Tickers that the new throttle ran."""
        return self.counts.both + self.counts.only_new + self.counts.unjudged_run

    @property
    def alerts(self) -> int:
        """Alerts of either, that could be judged."""
        return self.counts.both + self.counts.only_new + self.counts.only_old

    @property
    def unjudged(self) -> int:
        """Those that could not be."""
        return self.counts.unjudged_run + self.counts.unjudged_late

    @property
    def old_skip_ratio(self) -> float:
        """Of the ticks that a strategy saw, how many did not make it run under the old throttle."""
        return ratio(self.counts.seen - self.counts.opened, self.counts.seen)

    @property
    def new_skip_ratio(self) -> float:
        """The same under the new one."""
        return ratio(self.counts.seen - self.new_runs, self.counts.seen)

    @property
    def saved_ratio(self) -> float:
        """Of the tickers that the old throttle ran, how many the new one did not, as they had no update."""
        return ratio(self.counts.old_tickers - self.new_runs, self.counts.old_tickers)


class Throttle(NamedTuple):
    """What one throttle did with the ticks of strategies."""

    name: str
    runs: int
    """Of strategies as a whole, or of a ticker each."""
    tickers: int
    """Run by these."""
    skips: Mapping[str, int]
    """Ticks that made it run nothing, by the reason."""


def throttles(counts: ShadowCounts) -> tuple[Throttle, Throttle]:
    """What the old throttle did, and what the new one."""
    runs, nowhere, late = counts.both + counts.only_new + counts.unjudged_run, counts.no_bucket, counts.late
    old_skips = {"bucket_dup": counts.seen - counts.opened - nowhere, "no_bucket": nowhere}
    new_skips = {"bucket_dup": counts.seen - runs - late - nowhere, "late": late, "no_bucket": nowhere}
    return Throttle("old", counts.old_runs, counts.old_tickers, old_skips), Throttle("new", runs, runs, new_skips)


def alerts(counts: ShadowCounts) -> dict[str, int]:
    """Alerts by whose they are."""
    unjudged = counts.unjudged_run + counts.unjudged_late
    return {"both": counts.both, "only_new": counts.only_new, "only_old": counts.only_old, "unjudged": unjudged}


class Bounds(NamedTuple):
    """Within which a roll-out may go on."""

    most_missed: int = 0
    least_saved: float = 0.0
    """Below it the new throttle runs more tickers than the old one did."""
    most_saved: float = 0.999
    """Above it next to nothing runs any more, and something is wrong."""
    most_unjudged: float = 0.01
    least_alerts: int = 1_000
    least_hours: float = 24.0
    """Of event time."""


def ratio(part: int, whole: int) -> float:
    """What share a part is; 0 of nothing."""
    return part / whole if whole else 0.0


def together(reports: Iterable[Report], partitions: int) -> Seen:
    """What shards have seen together; of one that is told of twice, as while it moves, what began last counts."""
    by_shard: dict[int, Report] = {}
    for report in reports:
        other = by_shard.get(report.shard)
        if other is None or report.since_ms > other.since_ms:
            by_shard[report.shard] = report
    found = list(by_shard.values())
    silent = [shard for shard in range(partitions) if shard not in by_shard]
    observed = [each.until_ms - each.since_ms if each.since_ms != NEVER else 0 for each in found]
    missed: dict[str, int] = {}
    for each in found:
        for strategy_id, count in each.missed.items():
            missed[strategy_id] = missed.get(strategy_id, 0) + count
    worst = sorted(missed.items(), key=lambda item: (-item[1], item[0]))[:MOST_NAMED]
    return Seen(
        silent,
        0 if silent else min(observed, default=0),
        sum(each.ticks for each in found),
        sum(each.strategies for each in found),
        max((each.left_out for each in found), default=0),
        ShadowCounts(*(sum(column) for column in zip(ShadowCounts(), *(each.counts for each in found), strict=True))),
        dict(worst),
    )


class Refusal(NamedTuple):
    """Why a roll-out may not go on, and what to do."""

    is_grave: bool
    """Whether it should go back; else it is only too early."""
    why: str


def judge(seen: Seen, bounds: Bounds) -> list[Refusal]:
    """All that speaks against going on; empty where it may."""
    return [*grave(seen, bounds), *too_early(seen, bounds)]


def grave(seen: Seen, bounds: Bounds) -> Iterator[Refusal]:
    """What time does not mend."""
    if seen.counts.only_old > bounds.most_missed:
        who = "".join(f", {strategy_id} {count}" for strategy_id, count in seen.missed.items())
        told = f"{seen.counts.only_old} alerts would be missed, {bounds.most_missed} may be"
        yield Refusal(is_grave=True, why=f"{told}{who}; look for late ticks in /tables/counts/ID of these strategies")
    if seen.alerts >= bounds.least_alerts and not bounds.least_saved <= seen.saved_ratio <= bounds.most_saved:
        allowed = f"{bounds.least_saved:.1%} to {bounds.most_saved:.1%} are allowed"
        yield Refusal(
            is_grave=True,
            why=f"{seen.saved_ratio:.1%} of the tickers would not be run, {allowed}; look at the universes",
        )


def too_early(seen: Seen, bounds: Bounds) -> Iterator[Refusal]:
    """What more of the market may mend, or a worker that counts."""
    if seen.silent:
        shards = ", ".join(map(str, seen.silent))
        yield Refusal(
            is_grave=False, why=f"nothing is known of shards {shards}; `tickgate flags set shadow true`, and ask again"
        )
    if seen.left_out:
        remedy = "spread the topic over more partitions, or let go of timeframes"
        yield Refusal(is_grave=False, why=f"{seen.left_out} strategies are too many to be compared; {remedy}")
    if seen.alerts < bounds.least_alerts:
        yield Refusal(is_grave=False, why=f"{seen.alerts} alerts were seen, {bounds.least_alerts} are needed; wait")
    if seen.observed_ms < bounds.least_hours * HOUR_MS:
        hours, least = seen.observed_ms / HOUR_MS, f"{bounds.least_hours:g}"
        yield Refusal(
            is_grave=False,
            why=f"{hours:.2f} hours were seen of the shard that has seen least, {least} are needed; wait",
        )
    if seen.unjudged > bounds.most_unjudged * (seen.alerts + seen.unjudged):
        most = f"{bounds.most_unjudged:.1%} may be"
        yield Refusal(
            is_grave=False,
            why=f"{seen.unjudged} alerts could not be judged beside {seen.alerts} that were, {most}; wait",
        )


def as_told(report: Report) -> dict[str, Any]:
    """A report for JSON."""
    since = {} if report.since_ms == NEVER else {"since_ms": report.since_ms, "until_ms": report.until_ms}
    told = {"shard": report.shard, **since, "ticks": report.ticks}
    told |= {"strategies": report.strategies, "left_out": report.left_out}
    return {**told, "counts": report.counts._asdict(), "missed": dict(report.missed)}


def read_report(told: Any) -> Report:  # noqa: ANN401 - JSON
    """A report from JSON; raises ValueError where it is none."""
    try:
        since_ms, until_ms = told.get("since_ms", NEVER), told.get("until_ms", NEVER)
        missed = {str(strategy_id): int(count) for strategy_id, count in told["missed"].items()}
        numbers = (told["shard"], since_ms, until_ms, told["ticks"], told["strategies"], told["left_out"])
        report = Report(*numbers, ShadowCounts(**told["counts"]), missed)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ValueError(NO_REPORT) from None
    if not all(type(each) is int for each in (*numbers, *report.counts)):
        raise ValueError(NO_REPORT)
    return report
