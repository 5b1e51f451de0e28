"""`report.html` in a real Chromium: drawn, silent, complete in itself, usable by keyboard, readable on a phone."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench import reference
from streams.core.events import Mode, Strategy
from streams.kafka.kafka_jars import Unavailable
from streams.replay.run import Job, replay
from streams.strategy_file import write_strategies
from tests.replay.chromium import Chromium, Tab, find_chromium

HOSTILE = '</script><img src="http://127.0.0.1:9/x.png" onerror="document.title=1">&amp;'
LONG = "a-strategy-with-a-name-that-is-longer-than-a-telephone-is-wide-" * 3

CHARTS = [
    *("over-time", "of-variants", "both-and-only", "delays", "skipped-by-timeframe"),
    *("skipped-by-strategy", "busiest-strategies", "busiest-tickers", "universes"),
]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser."""
    try:
        path = find_chromium()
    except Unavailable as why:
        pytest.skip(f"needs a Chromium: {why}")
    browser = Chromium(path, tmp_path_factory.mktemp("profile"))
    try:
        yield browser
    finally:
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a replay with variants, of all modes, with names that want to be something else."""
    folder = tmp_path_factory.mktemp("report")
    work = reference.make(7, ticks=20_000, tickers=300, strategies=80, per_second=3.0)
    ticks, _ = reference.write_files(work, folder)
    strategies = [replace(each, mode=Mode.LEGACY if at % 9 == 3 else None) for at, each in enumerate(work.strategies)]
    names = frozenset(work.names[:40])
    strategies += [Strategy(HOSTILE, "1m", names), Strategy(LONG, "1m", names), Strategy("all", "5m")]
    write_strategies(strategies, folder / "strategies.jsonl")
    what_if = [
        {"name": "as it is"},
        {"name": "of old", "per_ticker_throttle": False},
        {"name": HOSTILE[:40], "timeframes": {"5m": "1m"}},
    ]
    (folder / "what-if.yaml").write_text(yaml.safe_dump(what_if))
    replay(Job([ticks], folder / "strategies.jsonl", folder / "out", what_if=folder / "what-if.yaml"))
    return folder / "out" / "report.html"


@pytest.fixture
def tab(chromium: Chromium, report: Path) -> Tab:
    """The report, opened."""
    chromium.events.clear()
    tab = Tab(chromium)
    tab.open(report)
    return tab


def test_all_is_drawn_nothing_complains_and_nothing_is_asked_for(tab: Tab, report: Path) -> None:
    assert tab.run("[...document.querySelectorAll('figure')].map((each) => each.id)") == CHARTS
    marks = "[...document.querySelectorAll('figure svg')].map((each) => each.querySelectorAll('.mark').length)"
    assert all(count > 0 for count in tab.run(marks))
    assert tab.run("document.querySelector('.answer p').textContent").startswith("“as it is”: ")
    assert tab.run("document.title") == "Tickgate: a replay"
    assert tab.run("document.querySelectorAll('img').length") == 0
    assert [url for url in tab.requests() if not url.startswith("data:")] == [report.as_uri()]
    assert tab.complaints() == []


def test_the_console_of_a_page_that_is_broken_is_heard(chromium: Chromium, report: Path, tmp_path: Path) -> None:
    broken = report.read_text().replace("data.charts.forEach(addChart)", "data.charts.forEach(addShart)")
    (tmp_path / "broken.html").write_text(broken.replace("</main>", '<img src="http://127.0.0.1:9/x.png"></main>'))
    chromium.events.clear()
    tab = Tab(chromium)
    tab.open(tmp_path / "broken.html")
    assert "addShart" in str(tab.complaints())
    assert "Content Security Policy" in str(tab.complaints())


def test_marks_lie_within_the_drawing_and_have_axes_with_units(tab: Tab) -> None:
    outside = """[...document.querySelectorAll('figure svg')].flatMap((svg) => {
        const box = svg.getBoundingClientRect();
        return [...svg.querySelectorAll('.mark, text')].map((each) => each.getBoundingClientRect())
            .filter((each) => each.left < box.left - 1 || each.right > box.right + 1
                || each.top < box.top - 1 || each.bottom > box.bottom + 1)
            .map((each) => svg.parentElement.id);
    })"""
    for width in (1280, 390):
        tab.size(width, 900)
        tab.settled()
        assert tab.run(outside) == []
        texts = "[...document.querySelectorAll('#over-time text')].map((each) => each.textContent)"
        assert {"executions per 1 min", "executions per min"} & set(tab.run(texts))
        assert any(text.startswith("time (UTC), ") for text in tab.run(texts))


def cells(tab: Tab, table: str, column: int) -> list[str]:
    script = f"[...document.querySelectorAll('#table-{table} tbody tr')].map((row) => row.cells[{column}].textContent)"
    found: list[str] = tab.run(script)
    return found


def as_numbers(texts: list[str]) -> list[float]:
    return [float(text.replace(",", "")) for text in texts]


def test_a_table_sorts_by_keyboard_and_says_so(tab: Tab) -> None:
    head = "document.querySelectorAll('#table-strategies th')[4]"
    tab.run(f"{head}.querySelector('button').focus()")
    tab.press("Enter", 13, "\r")
    assert tab.run(f"{head}.getAttribute('aria-sort')") == "descending"
    fired = as_numbers(cells(tab, "strategies", 4))
    assert fired == sorted(fired, reverse=True)
    tab.press(" ", 32, " ")
    assert tab.run(f"{head}.getAttribute('aria-sort')") == "ascending"
    assert as_numbers(cells(tab, "strategies", 4)) == sorted(fired)
    tab.run("document.querySelectorAll('#table-strategies th')[0].querySelector('button').click()")
    assert tab.run(f"{head}.getAttribute('aria-sort')") == "none"
    assert sorted(cells(tab, "strategies", 0)) == sorted(cells(tab, "strategies", 0), key=str)
    assert cells(tab, "strategies", 0)[-3:] == ["s77", "s78", "s79"]
    assert tab.complaints() == []


def test_a_heading_stands_over_its_numbers(tab: Tab) -> None:
    edges = """[...document.querySelectorAll('#table-tickers th')].map((head, column) => {
        const end = (node) => { const range = document.createRange(); range.selectNodeContents(node);
            return range.getBoundingClientRect().right; };
        const first = document.querySelector('#table-tickers tbody tr');
        return [end(head.querySelector('button')), end(first.cells[column])];
    })"""
    assert all(abs(head - cell) < 30 for head, cell in tab.run(edges)[1:])


def test_a_table_filters_as_one_types(tab: Tab) -> None:
    rows = len(cells(tab, "strategies", 0))
    tab.run("document.getElementById('filter-strategies').focus()")
    tab.type("s7 5m")
    found = list(zip(cells(tab, "strategies", 0), cells(tab, "strategies", 1), strict=True))
    assert found
    assert all("s7" in name and "5m" in timeframe for name, timeframe in found if "5m" not in name)
    status = tab.run("document.querySelector('#table-strategies').closest('.table').querySelector('.note').textContent")
    assert status.startswith(f"{len(found)} of {rows} rows match.")
    assert tab.complaints() == []


def test_it_is_told_to_those_who_do_not_see_it(tab: Tab) -> None:
    nodes: list[dict[str, Any]] = tab.call("Accessibility.getFullAXTree")["nodes"]
    named = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if "role" in node}
    roles = [role for role, _ in named]
    drawings = [name for role, name in named if role in {"image", "img"}]
    assert len(drawings) == len(CHARTS)
    assert all(name.endswith("The numbers stand below.") for name in drawings)
    assert {"main", "banner", "contentinfo"} <= set(roles)
    assert ("searchbox", "Filter Tickers") in named
    assert ("radio", "dark") in named
    assert tab.run("[...document.querySelectorAll('table')].every((each) => each.caption?.textContent)")
    assert tab.run("[...document.querySelectorAll('th')].every((each) => each.scope === 'col')")


def ground(tab: Tab) -> str:
    return str(tab.run("getComputedStyle(document.body).backgroundColor"))


CONTRAST = """(() => {
    const light = (text) => {
        const [r, g, b] = text.match(/[0-9.]+/g).map((each) => each / 255)
            .map((each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const panel = light(getComputedStyle(document.querySelector('figure')).backgroundColor);
    const against = (colour) => (Math.max(light(colour), panel) + 0.05) / (Math.min(light(colour), panel) + 0.05);
    const texts = [...document.querySelectorAll('figcaption, figure text, td, th button, .hint, p')];
    const marks = [...document.querySelectorAll('rect.mark')];
    return [Math.min(...texts.map((each) => against(getComputedStyle(each)[each.matches('text') ? 'fill' : 'color']))),
        Math.min(...marks.map((each) => against(getComputedStyle(each).fill)))];
})()"""


def test_light_and_dark_follow_the_system_until_one_is_chosen(tab: Tab) -> None:
    light = ground(tab)
    tab.scheme("dark")
    dark = ground(tab)
    assert light != dark
    tab.run("document.querySelector('input[name=theme][value=light]').click()")
    assert ground(tab) == light
    tab.scheme("light")
    tab.run("document.querySelector('input[name=theme][value=dark]').click()")
    assert ground(tab) == dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_and_marks_stand_out_from_the_ground(scheme: str, tab: Tab) -> None:
    tab.scheme(scheme)
    assert tab.run("document.documentElement.classList.contains('dark')") == (scheme == "dark")
    text, mark = tab.run(CONTRAST)
    assert text >= 4.5
    assert mark >= 3


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_lies_beside_the_page(width: int, tab: Tab) -> None:
    tab.size(width, 844)
    tab.settled()
    assert tab.run("document.documentElement.scrollWidth") <= width
    smallest = """Math.min(...[...document.querySelectorAll('figure text, td, p')]
        .map((each) => parseFloat(getComputedStyle(each).fontSize) * (each.matches('text')
            ? each.ownerSVGElement.clientWidth / each.ownerSVGElement.viewBox.baseVal.width : 1)))"""
    assert tab.run(smallest) >= 11.9


def test_pictures_for_who_wants_to_look(tab: Tab, tmp_path: Path) -> None:
    folder = Path(os.environ.get("REPORT_PICTURES") or tmp_path)
    for name, width, scheme in (("light", 1280, "light"), ("dark", 1280, "dark"), ("phone", 390, "light")):
        tab.size(width, 900)
        tab.scheme(scheme)
        tab.settled()
        tab.picture(folder / f"{name}.png")
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
