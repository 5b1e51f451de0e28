"""Puts a report together: one file, whose bytes follow from the results alone."""

import html
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any, Final

from streams.errors import on_one_line
from streams.replay.report.charts import charts
from streams.replay.report.embedding import embedded
from streams.replay.report.facts import gather
from streams.replay.report.tables import tables
from streams.replay.report.words import answer, remarks
from streams.whole_files import write_whole

NAME: Final = "report.html"
_WARNING_CHARACTERS: Final = 500


def write_report(folder: Path, manifest: dict[str, Any], warnings: list[str]) -> None:
    """Write the report of the results in a folder, beside them."""
    facts = gather(folder, manifest, warnings)
    data = {"charts": charts(facts), "tables": tables(facts)}
    parts = {
        "STYLE": _part("page.css"),
        "ANSWER": _paragraphs(answer(facts)),
        "REMARKS": _remarks(remarks(facts)),
        "DATA": embedded(data),
        "CODE": _part("page.js"),
        "VERSION": html.escape(str(manifest["tickgate"])),
    }
    page = _part("page.html")
    pieces = page.split("{{")
    write_whole(folder / NAME, [pieces[0], *(_filled(piece, parts) for piece in pieces[1:])])


def _filled(piece: str, parts: dict[str, str]) -> str:
    name, _, rest = piece.partition("}}")
    return parts[name] + rest


def _part(name: str) -> str:
    return resources.files("streams.replay.report").joinpath(name).read_text(encoding="utf-8")


def _paragraphs(sentences: Iterable[str]) -> str:
    return "\n".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences)


def _remarks(told: list[str]) -> str:
    if not told:
        return ""
    items = (f"<li>{html.escape(on_one_line(each, _WARNING_CHARACTERS))}</li>" for each in told)
    return '<section aria-label="Remarks"><h2>To know</h2><ul>' + "".join(items) + "</ul></section>"
