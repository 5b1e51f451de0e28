"""The answer, in sentences: what stands on top of a report."""

from collections.abc import Iterator
from datetime import UTC, datetime

from streams.replay.compare_words import counted
from streams.replay.limits import MAX_REPORT_COMPARED_ROWS, MAX_WARNINGS_SHOWN
from streams.replay.report.charts import outcomes, shown
from streams.replay.report.facts import Facts


def answer(facts: Facts) -> list[str]:
    """The answer first, then what stands behind it."""
    return [
        sentence
        for part in (_what_fired, _what_variants_do, _what_was_skipped, _who_was_busy)
        for sentence in part(facts)
    ]


def remarks(facts: Facts) -> list[str]:
    """What the reader should know of the input, and of what is not shown."""
    rejected = facts.manifest["rejected"]
    told = [f"{rejected:,} rows of the input are no ticks; rejected.jsonl says which, and why."] if rejected else []
    told += facts.warnings[:MAX_WARNINGS_SHOWN]
    if len(facts.warnings) > MAX_WARNINGS_SHOWN:
        told.append(f"{len(facts.warnings) - MAX_WARNINGS_SHOWN:,} more warnings: the replay printed them.")
    if facts.more:
        told.append(
            f"Drawings show the first {len(facts.names)} variants of {len(facts.names) + facts.more:,}; "
            "tickgate compare holds any two against each other."
        )
    if len(facts.names) > 1 and not facts.compared:
        told.append(
            f"Variants with more than {MAX_REPORT_COMPARED_ROWS:,} executions together are not held against each "
            "other here: tickgate compare does that."
        )
    return told


def _what_fired(facts: Facts) -> Iterator[str]:
    fired, time = int(facts.fires[0].sum()), facts.numbers.time
    ticks = facts.manifest["counts"]["ticks"]
    of = f"“{shown(facts.names[0])}”: " if len(facts.names) > 1 else ""
    if not fired or time is None:
        yield f"{of}Nothing fired, in {ticks:,} ticks."
        return
    alive = int((facts.fires[0] > 0).sum())
    yield (
        f"{of}{counted(fired)} of {alive:,} strateg{'y' if alive == 1 else 'ies'}, from {ticks:,} ticks; "
        f"the first at {_moment(time.first_ms)}, the last at {_moment(time.last_ms)} (UTC)."
    )


def _what_variants_do(facts: Facts) -> Iterator[str]:
    base = int(facts.fires[0].sum())
    for at, name in enumerate(facts.names[1:]):
        fired = int(facts.fires[at + 1].sum())
        words = f"“{shown(name)}” has {counted(fired)}{_beside(fired, base)}"
        if facts.compared:
            compared = facts.compared[at]
            missed, more, otherwise = (compared.total(what) for what in ("only_a", "only_b", "otherwise_b"))
            words += f": {compared.total('both'):,} the same, {missed:,} missed, {more:,} more"
            words += f", {otherwise:,} that ran in both, but in one for the whole universe" if otherwise else ""
        yield f"{words}."


def _beside(fired: int, base: int) -> str:
    if fired == base or not base:
        return ""
    share = 100 * abs(fired - base) / base
    amount = f"{share:.0f} %" if share >= 1 else "less than 1 %"
    return f", {amount} {'more' if fired > base else 'fewer'}"


def _what_was_skipped(facts: Facts) -> Iterator[str]:
    fired, skips = outcomes(facts)
    seen, skipped = int(fired.sum() + skips.sum()), int(skips.sum())
    if seen:
        reasons = zip(("had fired in the bucket", "were late", "were of no session that is known"), skips, strict=True)
        shares = [f"{_share(int(row.sum()), seen)} {why}" for why, row in reasons if row.any()]
        why = f": {', '.join(shares)}" if skipped else ""
        yield f"Strategies looked at a tick {seen:,} times, and it fired nothing in {_share(skipped, seen)}{why}."
    irrelevant = facts.manifest["counts"].get("irrelevant", 0)
    if irrelevant:
        ticks = "tick" if irrelevant == 1 else "ticks"
        yield f"{irrelevant:,} {ticks} must not move the price, by the conditions, and changed nothing."


def _who_was_busy(facts: Facts) -> Iterator[str]:
    total = int(facts.fires[0].sum())
    if not total:
        return
    at = int(facts.fires[0].argmax())
    strategy, fired = facts.definitions.column("strategy_id")[at].as_py(), int(facts.fires[0][at])
    words = f"The busiest strategy is {shown(strategy)}, with {_share(fired, total)} of the executions"
    if facts.numbers.tickers:
        ticker, times = facts.numbers.tickers[0]
        words += f"; the busiest ticker is {shown(ticker)}, which ran {times:,} times"
    yield f"{words}."


def _share(part: int, whole: int) -> str:
    """As a percentage; never 100 or 0 for what is not all or nothing."""
    if 0 < part < whole:
        return f"{min(max(100 * part / whole, 0.1), 99.9):.1f} %"
    return "all" if part else "none"


def _moment(ts_ms: int) -> str:
    return datetime.fromtimestamp(ts_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
