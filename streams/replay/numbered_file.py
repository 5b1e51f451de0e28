"""A strategy file with universes as numbers of tickers: all that a replay needs of them, and quick to read.

What is refused, and in which words, is what `strategy_file.py` refuses.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from streams.core.entry import NOBODY
from streams.core.events import Strategy
from streams.entry_files.json_entries import OfLine
from streams.entry_files.line_lists import LineLists
from streams.replay.tick_columns import Int32s
from streams.strategy_file import StrategyReader, entries_of
from streams.strategy_universes import AsNumbers


class NumberedFile(NamedTuple):
    """What a file holds, in its order. Of its universes the strategies say only whether they have one."""

    strategies: list[Strategy]
    warnings: list[str]
    names: list[str]
    """All tickers of the file."""
    universes: list[Int32s]
    """Of each strategy the places of its tickers among these, in order; none where it has every ticker."""


def read_numbered(path: Path) -> NumberedFile:
    """Read all strategies of a file, or raise `InputError` for the first that is wrong."""
    held = AsNumbers()
    reader = StrategyReader(str(path), held)
    strategies, universes = list[Strategy](), list[Int32s]()
    for entry in entries_of(path, _universes):
        held.numbers = NOBODY
        strategies.append(reader.strategy(entry))
        universes.append(held.numbers)
    return NumberedFile(strategies, reader.warnings, [*held.tickers], universes)


def _universes(text: str, decode: Callable[[str], Any]) -> OfLine:
    return LineLists(text, "universe", decode).value
