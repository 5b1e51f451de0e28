"""What `tickgate compare` says: the answer first, then where it lies."""

from collections.abc import Iterator
from typing import Any, Final

from streams.replay.compare import Compared
from streams.replay.result_folder import Result

MOST_NAMED: Final = 10
"""Strategies that are named; the file has them all."""


def in_words(a: Result, b: Result, compared: Compared) -> Iterator[str]:
    """Line by line."""
    totals = {name: compared.total(name) for name in ("executions_a", "executions_b", "both", "moved")}
    only_a, only_b, otherwise = (compared.total(name) for name in ("only_a", "only_b", "otherwise_a"))
    yield f"A: {a.name}, {counted(totals['executions_a'])}"
    yield f"B: {b.name}, {counted(totals['executions_b'])}"
    if not compared.same_inputs:
        yield "They are over different ticks."
    moved = f", {totals['moved']:,} of them at another time" if totals["moved"] else ""
    if not only_a and not only_b and not otherwise:
        yield f"Both have the same {counted(totals['both'])}{moved}."
        return
    yield f"In both {totals['both']:,}{moved}; only in A {only_a:,}; only in B {only_b:,}."
    if otherwise or compared.total("otherwise_b"):
        yield (
            f"In both, but in one for the whole universe and in the other ticker by ticker: "
            f"{otherwise:,} of A, {compared.total('otherwise_b'):,} of B."
        )
    yield "By timeframe:"
    for row in compared.by_timeframe().to_pylist():
        yield f"  {_timeframe(row)}: {_counts(row)}"
    yield from _strategies(compared)


def counted(executions: int) -> str:
    """So many, as one says it."""
    return f"{executions:,} execution{'' if executions == 1 else 's'}"


def _strategies(compared: Compared) -> Iterator[str]:
    rows = compared.by_strategy.to_pylist()
    differing = [row for row in rows if _apart(row)]
    differing.sort(key=lambda row: (-_apart(row), row["strategy_id"]))
    yield f"Strategies that differ: {len(differing):,} of {len(rows):,}; the most:"
    for row in differing[:MOST_NAMED]:
        yield f"  {row['strategy_id']}, {_timeframe(row)}: {_counts(row)}"


def _apart(row: dict[str, Any]) -> int:
    return int(row["only_a"] + row["only_b"] + row["otherwise_a"] + row["otherwise_b"] + row["moved"])


def _timeframe(row: dict[str, Any]) -> str:
    before, after = row["timeframe_a"], row["timeframe_b"]
    if before is None or after is None:
        return f"{before or after}, only in {'B' if before is None else 'A'}"
    return str(before) if before == after else f"{before} in A, {after} in B"


def _counts(row: dict[str, Any]) -> str:
    words = f"both {row['both']:,}, only A {row['only_a']:,}, only B {row['only_b']:,}"
    if row["otherwise_a"] or row["otherwise_b"]:
        words += f", otherwise {row['otherwise_a']:,} and {row['otherwise_b']:,}"
    return words
