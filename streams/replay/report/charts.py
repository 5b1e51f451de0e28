"""The drawings of a report: what each shows, in bins, with its axes and their units. The page only draws them."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from streams.errors import on_one_line
from streams.replay.limits import MAX_BARS, MAX_NAME_SHOWN
from streams.replay.report.facts import Facts
from streams.replay.report.numbers import DAY, DELAYS, HOUR, MINUTE, MODES, STEPS_MS, Time
from streams.universe_sizes import SIZE_CLASSES, by_class

Chart = dict[str, Any]

MODE_NAMES: Final = {
    "per_ticker": "per ticker",
    "legacy": "whole universe (legacy)",
    "global": "every ticker (global)",
}
UNITS: Final = ["s", "m", "h", "d", "w", "mo"]
SKIPS: Final = ("bucket_dup", "late", "no_bucket")
LABELS: Final = 8
"""Labels along an axis of time."""


def charts(facts: Facts) -> list[Chart]:
    """All drawings that have something to show."""
    drawn = [
        over_time(facts),
        of_variants(facts),
        both_and_only(facts),
        delays(facts),
        skipped_by_timeframe(facts),
        skipped_by_strategy(facts),
        busiest(facts, "strategies"),
        busiest(facts, "tickers"),
        universes(facts),
    ]
    return [chart for chart in drawn if chart is not None and any(any(each["values"]) for each in chart["series"])]


def over_time(facts: Facts) -> Chart | None:
    """Executions over the day, by mode."""
    time, counts = facts.numbers.time, facts.numbers.over_time[0]
    if time is None:
        return None
    series = [_series(MODE_NAMES[mode], row) for mode, row in zip(MODES, counts, strict=True) if row.any()]
    return {
        **_in_time("over-time", f"Executions over time{of_first(facts)}", time),
        "kind": "columns",
        "series": series,
    }


def of_variants(facts: Facts) -> Chart | None:
    """Executions over the day, a line a variant."""
    time = facts.numbers.time
    if time is None or len(facts.names) == 1:
        return None
    by_run = facts.numbers.over_time.sum(axis=1)
    series = [_series(name, row) for name, row in zip(facts.names, by_run, strict=True)]
    return {**_in_time("of-variants", "Executions over time, by variant", time), "kind": "lines", "series": series}


def both_and_only(facts: Facts) -> Chart | None:
    """What is in the first variant alone, in another alone, in both."""
    if not facts.compared:
        return None
    counted = [
        [each.total("both"), each.total("otherwise_b"), each.total("only_a"), each.total("only_b")]
        for each in facts.compared
    ]
    names = (
        "in both",
        "in both, one of them for the whole universe",
        f"only in “{shown(facts.names[0])}”",
        "only in the other",
    )
    return {
        "id": "both-and-only",
        "kind": "bars",
        "title": f"Alerts of each variant beside those of “{shown(facts.names[0])}”",
        "x": "executions",
        "y": "variant",
        "labels": [shown(name) for name in facts.names[1:]],
        "series": [_series(name, row) for name, row in zip(names, zip(*counted, strict=True), strict=True)],
    }


def delays(facts: Facts) -> Chart | None:
    """How long after the start of its bucket an alert came."""
    counts = facts.numbers.delays
    bounds = [name for _, name in DELAYS]
    return {
        "id": "delays",
        "kind": "columns",
        "title": f"Time to alert: from the start of the bucket to the tick that fired{of_first(facts)}",
        "x": "time since the start of the bucket",
        "y": "executions",
        "labels": [f"under {bounds[0]}", *(f"{a} to {b}" for a, b in itertools.pairwise(bounds)), "longer"],
        "ticks": [[at + 0.5, name] for at, name in enumerate(bounds)],
        "series": [_series(MODE_NAMES[mode], row) for mode, row in zip(MODES, counts, strict=True) if row.any()],
    }


def skipped_by_timeframe(facts: Facts) -> Chart | None:
    """Of the ticks that strategies looked at: the share that fired nothing, by the reason."""
    timeframes = np.array(facts.definitions.column("timeframe").to_pylist(), np.object_)
    fired, skips = outcomes(facts)
    names = list(dict.fromkeys(timeframes[fired + skips.sum(axis=0) > 0].tolist()))
    names = sorted(names, key=_by_length)[:MAX_BARS]
    looked_at = np.array([(fired + skips.sum(axis=0))[timeframes == name].sum() for name in names])
    rows = [[100 * row[timeframes == name].sum() for name in names] / np.maximum(looked_at, 1) for row in skips]
    said = ("fired in this bucket already", "late: the bucket was over", "no session is known")
    return {
        "id": "skipped-by-timeframe",
        "kind": "bars",
        "title": f"Share of looked-at ticks that fired nothing, by timeframe{of_first(facts)}",
        "x": "% of ticks held against strategies",
        "y": "timeframe",
        "labels": [shown(name) for name in names],
        "series": [_series(name, np.round(row, 2)) for name, row in zip(said, rows, strict=True) if row.any()],
        "most": 100,
    }


def skipped_by_strategy(facts: Facts) -> Chart | None:
    """How many strategies skip how much."""
    fired, skips = outcomes(facts)
    skipped = skips.sum(axis=0)
    seen = fired + skipped > 0
    share = 100 * skipped[seen] / (fired + skipped)[seen]
    counts = np.bincount(np.minimum(share // 5, 19).astype(np.int64), minlength=20)
    return {
        "id": "skipped-by-strategy",
        "kind": "columns",
        "title": f"Strategies by their share of looked-at ticks that fired nothing{of_first(facts)}",
        "x": "% of ticks held against the strategy",
        "y": "strategies",
        "labels": [f"{at * 5} to {at * 5 + 5} %" for at in range(20)],
        "ticks": [[at - 0.5, f"{at * 5}"] for at in range(0, 21, 4)],
        "series": [_series("strategies", counts)],
    }


def busiest(facts: Facts, what: str) -> Chart:
    """Who ran most."""
    if what == "tickers":
        most = facts.numbers.tickers[:MAX_BARS]
    else:
        ids, fired = facts.definitions.column("strategy_id"), facts.fires[0]
        order = np.argsort(-fired, kind="stable")[:MAX_BARS]
        most = [(ids[at].as_py(), int(fired[at])) for at in order.tolist() if fired[at]]
    return {
        "id": f"busiest-{what}",
        "kind": "bars",
        "title": f"Busiest {what}{of_first(facts)}",
        "x": "executions",
        "y": what,
        "labels": [shown(name) for name, _ in most],
        "series": [_series("executions", [fired for _, fired in most])],
    }


def universes(facts: Facts) -> Chart:
    """How large universes are."""
    sizes = facts.sizes.tolist()
    return {
        "id": "universes",
        "kind": "columns",
        "title": f"Strategies by the size of their universe{of_first(facts)}",
        "x": "tickers in the universe",
        "y": "strategies",
        "labels": [*SIZE_CLASSES, "every ticker"],
        "ticks": [[at, name] for at, name in enumerate([*SIZE_CLASSES, "every"])],
        "series": [_series("strategies", [*by_class(sizes), sizes.count(0)])],
    }


def _by_length(timeframe: str) -> tuple[int, int, str]:
    """Shorter ones first, as far as the unit and the number tell; what is none comes last."""
    unit = timeframe.lstrip("0123456789")
    number = timeframe[: len(timeframe) - len(unit)][:9]
    return UNITS.index(unit) if unit in UNITS else len(UNITS), int(number or 0), timeframe


def outcomes(facts: Facts) -> tuple[Any, Any]:
    """Of the strategies that decide by pairs: what fired; and what did not, by the reason. 0 for others."""
    by_pairs = np.array(facts.definitions.column("mode").to_pylist(), np.object_) == "per_ticker"
    fired = facts.definitions.column("fired_pairs").to_numpy() * by_pairs
    skips = np.array([facts.definitions.column(name).to_numpy() for name in SKIPS]) * by_pairs
    return fired, skips


def of_first(facts: Facts) -> str:
    """Which run a drawing is of, where there are several."""
    return f" (“{shown(facts.names[0])}”)" if len(facts.names) > 1 else ""


def shown(name: str) -> str:
    """An id or a name as far as there is room for it."""
    return on_one_line(name, MAX_NAME_SHOWN)


def _series(name: str, values: Sequence[Any] | Any) -> dict[str, Any]:  # noqa: ANN401 - a column of numpy too
    return {"name": shown(name), "values": [value.item() if hasattr(value, "item") else value for value in values]}


def _in_time(name: str, title: str, time: Time) -> Chart:
    starts = [time.start_ms + at * time.step_ms for at in range(time.columns)]
    between = next((step for step in STEPS_MS if time.columns * time.step_ms <= LABELS * step), STEPS_MS[-1])
    whole_days = time.step_ms >= DAY or time.last_ms - time.first_ms > 2 * DAY
    form = "%d %b" if whole_days else "%H:%M" if time.step_ms >= MINUTE else "%H:%M:%S"
    return {
        "id": name,
        "title": title,
        "x": f"time (UTC), {_moment(time.first_ms, '%d %b %Y')}"
        + (f" to {_moment(time.last_ms, '%d %b %Y')}" if _moment(time.first_ms) != _moment(time.last_ms) else ""),
        "y": f"executions per {in_units(time.step_ms)}",
        "labels": [
            _moment(start, "%Y-%m-%d %H:%M:%S" if time.step_ms < MINUTE else "%Y-%m-%d %H:%M") for start in starts
        ],
        "ticks": [[at - 0.5, _moment(start, form)] for at, start in enumerate(starts) if start % between == 0],
    }


def _moment(ts_ms: int, form: str = "%Y-%m-%d") -> str:
    return datetime.fromtimestamp(ts_ms / 1000, UTC).strftime(form)


def in_units(length_ms: int) -> str:
    """A width of a column, as one says it."""
    for unit_ms, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if length_ms % unit_ms == 0:
            return name if length_ms == unit_ms else f"{length_ms // unit_ms} {name}"
    return "s" if length_ms == 1_000 else f"{length_ms // 1_000} s"  # noqa: PLR2004 - milliseconds
