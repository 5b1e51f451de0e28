"""The tables of a report, cut to what a page can hold; what was cut is said."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from streams.replay.limits import MAX_TABLE_BYTES, MAX_TABLE_ROWS
from streams.replay.report.charts import outcomes, shown
from streams.replay.report.embedding import embedded
from streams.replay.report.facts import Facts

Table = dict[str, Any]

WHOLE: Final = "every ticker"


def tables(facts: Facts) -> list[Table]:
    """Variants, strategies, tickers, and what went in."""
    of_variants = [variants(facts)] if "variants" in facts.manifest else []
    return [*of_variants, strategies(facts), tickers(facts), inputs(facts)]


def variants(facts: Facts) -> Table:
    """All variants; those that were held against the first, with what came of it."""
    rows = []
    for at, each in enumerate(facts.manifest["variants"]):
        compared = facts.compared[at - 1] if 0 < at <= len(facts.compared) else None
        columns = ("both", "otherwise_b", "only_a", "only_b")
        counts = [compared.total(name) for name in columns] if compared else [None] * len(columns)
        rows.append([shown(each["name"]), each["strategies_changed"], each["fired_pairs"], *counts])
    first = shown(facts.names[0])
    heads = ["variant", "strategies changed", "executions", "in both", "in both, one as a whole"]
    return _cut("variants", "Variants", [*heads, f"only in “{first}”", "only in it"], rows, "in the order of the file")


def strategies(facts: Facts) -> Table:
    """The strategies of the first run, those that fired most first."""
    several = len(facts.names) > 1
    heads = ["strategy", "timeframe", "mode", "tickers", "executions"]
    heads += ["fired already", "late", "no session", "skipped, %"]
    heads += [f"executions, “{shown(name)}”" for name in facts.names[1:]]
    order = np.argsort(-facts.fires[0], kind="stable")[: MAX_TABLE_ROWS + 1]
    _, skips = outcomes(facts)
    found = facts.definitions.take(order)
    texts = [found.column(name).to_pylist() for name in ("strategy_id", "timeframe", "mode")]
    rows = []
    for place, at in enumerate(order.tolist()):
        by_reason, fired = [int(row[at]) for row in skips], int(facts.fires[0][at])
        seen = fired + sum(by_reason)
        share = round(100 * sum(by_reason) / seen, 2) if seen and texts[2][place] == "per_ticker" else None
        size = int(facts.sizes[at]) or WHOLE
        others = [int(fires[at]) for fires in facts.fires[1:]]
        rows.append([*(shown(column[place]) for column in texts), size, fired, *by_reason, share, *others])
    name = f"Strategies of “{shown(facts.names[0])}”" if several else "Strategies"
    return _cut("strategies", name, heads, rows, "those that fired most", len(facts.definitions))


def tickers(facts: Facts) -> Table:
    """The tickers that ran by themselves, the busiest first."""
    total = sum(fired for _, fired in facts.numbers.tickers)
    most = facts.numbers.tickers[: MAX_TABLE_ROWS + 1]
    rows = [[shown(name), fired, round(100 * fired / total, 3)] for name, fired in most]
    heads = ["ticker", "executions", "share, %"]
    return _cut("tickers", "Tickers", heads, rows, "the busiest", len(facts.numbers.tickers))


def inputs(facts: Facts) -> Table:
    """What went in, by its hash; of a topic, which offsets."""
    given = facts.manifest["inputs"]
    files = [("ticks", each) for each in given.get("ticks", ())]
    files += [("topic", {"name": _part_told(given["topic"], each)}) for each in given.get("partitions", ())]
    files += [(name, each) for name, each in given.items() if name != "ticks" and isinstance(each, dict)]
    if "what_if" in facts.manifest:
        files.append(("what if", facts.manifest["what_if"]))
    rows = [[name, shown(str(each.get("name", ""))), str(each.get("sha256", ""))] for name, each in files]
    return _cut("inputs", "What went in", ["kind", "name", "SHA-256"], rows, "the first")


def _part_told(topic: str, part: Mapping[str, int]) -> str:
    first, end = part["first_offset"], part["end_offset"]
    return f"{topic}, partition {part['partition']}, " + (f"offsets {first} to {end - 1}" if first < end else "nothing")


def _cut(  # noqa: PLR0913, PLR0917 - a table's parts
    name: str, caption: str, heads: Sequence[str], rows: Iterable[Sequence[Any]], which: str, total: int = 0
) -> Table:
    """A table of the rows that there is room for."""
    rows, kept, size = list(rows), [], 0
    for row in rows[:MAX_TABLE_ROWS]:
        size += len(embedded(row).encode())
        if size > MAX_TABLE_BYTES:
            break
        kept.append(row)
    total = max(total, len(rows))
    note = f"{len(kept):,} of {total:,} rows are shown: {which}." if len(kept) < total else ""
    return {"id": name, "caption": caption, "heads": list(heads), "rows": kept, "note": note}
