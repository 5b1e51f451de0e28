"""Strategy files: what is read from them, and how each mistake in one is told."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from streams.core import limits
from streams.core.events import Mode, Status, Strategy
from streams.entry_files import yaml_entries
from streams.errors import InputError
from streams.replay.numbered_file import NumberedFile, read_numbered
from streams.strategy_file import StrategyFile, read_strategies, write_strategies

GOOD = '{"strategy_id": "s1", "timeframe": "5m", "universe": ["AAPL"]}'
SHARED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=16).filter(
    lambda text: text == text.strip() and len(text.encode()) <= limits.MAX_TICKER_BYTES
)
strategies = st.builds(
    Strategy,
    strategy_id=names,
    timeframe=st.sampled_from(["1m", "5m", "1h", "1d", "1mo", "not a timeframe", ""]),
    universe=st.frozensets(names, max_size=5),
    status=st.sampled_from(Status),
    version=st.integers(1, 1 << 40),
    time_zone=st.sampled_from(["UTC", "America/New_York", "Asia/Tokyo"]),
    session=st.sampled_from(["", "XNYS"]),
    mode=st.sampled_from([None, Mode.PER_TICKER, Mode.LEGACY]),
    coalesce_ms=st.none() | st.integers(0, limits.MAX_COALESCE_MS),
)
files_of_strategies = st.lists(strategies, min_size=1, max_size=4, unique_by=lambda strategy: strategy.strategy_id)


def read(folder: Path, name: str, content: str | bytes) -> StrategyFile:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = read_strategies(path)
    assert with_names(read_numbered(path)) == found
    return found


def with_names(numbered: NumberedFile) -> StrategyFile:
    """The same file as if universes had not been read as numbers."""
    universes = [[numbered.names[at] for at in each.tolist()] for each in numbered.universes]
    assert all((np.diff(each) > 0).all() for each in numbered.universes)
    assert [bool(each) for each in universes] == [bool(strategy.universe) for strategy in numbered.strategies]
    named = zip(numbered.strategies, universes, strict=True)
    return StrategyFile([replace(each, universe=frozenset(names)) for each, names in named], numbered.warnings)


def refused(folder: Path, name: str, content: str | bytes) -> InputError:
    with pytest.raises(InputError) as caught:
        read(folder, name, content)
    assert caught.value.place.startswith(str(folder / name))
    assert caught.value.problem
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError) as as_numbers:
        read_numbered(folder / name)
    assert str(as_numbers.value) == str(caught.value)
    return caught.value


@SHARED_FOLDER
@given(files_of_strategies)
@example([Strategy("a\u2028b", "1m", frozenset({"c\u2029d", "\ufeffe"}))])
def test_what_is_written_is_read_back(tmp_path: Path, written: list[Strategy]) -> None:
    write_strategies(written, tmp_path / "s.jsonl")

    assert read_strategies(tmp_path / "s.jsonl").strategies == written


@SHARED_FOLDER
@given(written=files_of_strategies, flow=st.booleans())
def test_every_format_holds_the_same(tmp_path: Path, written: list[Strategy], *, flow: bool) -> None:
    write_strategies(written, tmp_path / "s.jsonl")
    lines = (tmp_path / "s.jsonl").read_text(encoding="utf-8").rstrip("\n").split("\n")
    fields = [json.loads(line) for line in lines]
    as_yaml = yaml.safe_dump(fields, allow_unicode=True, default_flow_style=flow, sort_keys=False)
    under_a_key = yaml.safe_dump({"strategies": fields}, default_flow_style=flow)

    for name, text in {
        "list.json": json.dumps(fields, indent=2),
        "one-line.json": json.dumps(fields),
        "lines.json": "\n".join(lines),
        "list.jsonl": json.dumps(fields, indent=1),
        "blank.ndjson": "\n\n".join(lines),
        "s.yaml": as_yaml,
        "s.yml": under_a_key,
    }.items():
        assert read(tmp_path, name, text).strategies == written, name
    assert read(tmp_path, "single.json", json.dumps(fields[0], indent=4)).strategies == written[:1]


def test_bytes_written_do_not_depend_on_the_order_of_a_universe(tmp_path: Path) -> None:
    for name, universe in (("a", ["C", "A", "B"]), ("b", ["B", "C", "A"])):
        write_strategies([Strategy("s", "1m", frozenset(universe))], tmp_path / name)

    assert (tmp_path / "a").read_text() == '{"strategy_id": "s", "timeframe": "1m", "universe": ["A", "B", "C"]}\n'
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_whole_universe_is_all_or_an_empty_list(tmp_path: Path) -> None:
    for universe in ('"all"', "[]"):
        found = read(tmp_path, "s.jsonl", GOOD.replace('["AAPL"]', universe))
        assert found == StrategyFile([Strategy("s1", "5m")], [])


def test_a_field_left_out_or_null_has_its_default(tmp_path: Path) -> None:
    nulls = "".join(
        f', "{field}": null' for field in ("status", "version", "time_zone", "session", "mode", "coalesce_ms", "name")
    )
    expected = [Strategy("s1", "5m", frozenset({"AAPL"}))]

    assert read(tmp_path, "s.jsonl", GOOD).strategies == expected
    assert read(tmp_path, "s.jsonl", GOOD[:-1] + nulls + "}").strategies == expected


def test_a_byte_order_mark_and_windows_line_ends_are_taken(tmp_path: Path) -> None:
    for name, text in (
        ("s.jsonl", f"{GOOD}\r\n\r\n{GOOD.replace('s1', 's2')}\r\n"),
        ("s.yaml", "- strategy_id: s1\r\n  timeframe: 5m\r\n  universe: [AAPL]\r\n- " + GOOD.replace("s1", "s2")),
    ):
        found = read(tmp_path, name, b"\xef\xbb\xbf" + text.encode())
        assert [strategy.strategy_id for strategy in found.strategies] == ["s1", "s2"]


def test_an_explicit_empty_list_is_no_strategies(tmp_path: Path) -> None:
    assert read(tmp_path, "s.json", "[]") == StrategyFile([], [])
    assert read(tmp_path, "s.yaml", "strategies: []") == StrategyFile([], [])


def test_one_ticker_is_one_object_in_the_whole_file(tmp_path: Path) -> None:
    texts = [GOOD.replace("s1", f"s{i}").replace('"AAPL"', f'"AAPL", "T{i}"') for i in range(3)]
    found = read(tmp_path, "s.jsonl", "\n".join(texts)).strategies

    assert len({id(ticker) for strategy in found for ticker in strategy.universe if ticker == "AAPL"}) == 1


def test_an_unknown_timeframe_is_kept_with_a_warning(tmp_path: Path) -> None:
    found = read(tmp_path, "s.jsonl", f"{GOOD}\n" + GOOD.replace("5m", "5 minutes").replace("s1", "s2"))

    assert found.strategies[1].timeframe == "5 minutes"
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith(f"{tmp_path / 's.jsonl'}, line 2, timeframe: ")
    assert "'5 minutes'" in found.warnings[0]


def test_repeats_in_a_universe_are_dropped_with_a_warning(tmp_path: Path) -> None:
    text = "- strategy_id: s1\n  timeframe: 5m\n  universe:\n  - A\n  - B\n  - A\n  - A\n  - B\n"
    found = read(tmp_path, "s.yaml", text)

    assert found.strategies == [Strategy("s1", "5m", frozenset("AB"))]
    place = f"{tmp_path / 's.yaml'}, line 6, universe"
    assert found.warnings == [f"{place}: there more than once: A (line 6), B (line 8); each counts once"]


def changed(**fields: Any) -> str:
    """The good line with other fields; None takes one out."""
    merged = {**json.loads(GOOD), **fields}
    return json.dumps({name: value for name, value in merged.items() if value is not None})


@pytest.mark.parametrize(
    ("content", "place", "problem", "remedy"),
    [
        (changed(strategy_id=7), "line 1, strategy_id", "the number 7", "quotes"),
        (changed(strategy_id=""), "line 1, strategy_id", "empty", "write a name"),
        (changed(strategy_id="é" * 200), "line 1, strategy_id", "400 bytes", "shorten"),
        (changed(timeframe=5), "line 1, timeframe", "the number 5", "quotes"),
        (GOOD.replace('"5m"', "null"), "line 1, timeframe", "nothing, where text belongs", "quotes"),
        (GOOD.replace('["AAPL"]', "null"), "line 1, universe", "nothing", '"all"'),
        (changed(universe="AAPL"), "line 1, universe", "the text 'AAPL'", '["AAPL", "MSFT"]'),
        (changed(universe=["A", 7203]), "line 1, universe, ticker 2", "the number 7203", "quotes"),
        (changed(universe=["A", True]), "line 1, universe, ticker 2", "true or false", "quotes"),
        (changed(universe=[["A"]]), "line 1, universe, ticker 1", "a list", "quotes"),
        (changed(universe=["A", ""]), "line 1, universe, ticker 2", "empty", "write a name"),
        (changed(universe=[" A"]), "line 1, universe, ticker 1", "space", "remove"),
        (changed(universe=["A\x00B"]), "line 1, universe, ticker 1", "control character", "remove"),
        (changed(universe=["A\ud800"]), "line 1, universe, ticker 1", "half a character", "remove"),
        (changed(universe=["A" * 65]), "line 1, universe, ticker 1", "65 bytes", "shorten"),
        (changed(universe=["x" * 10_000]), "line 1, universe, ticker 1", "10000 bytes", "shorten"),
        (changed(status="live"), "line 1, status", "'live'", "draft or active or paused or deleted"),
        (changed(version=0), "line 1, version", "the number 0", "from 1"),
        (changed(version=True), "line 1, version", "true or false", "from 1"),
        (changed(version=1.0), "line 1, version", "not whole", "from 1"),
        (changed(version="1"), "line 1, version", "the text '1'", "from 1"),
        (changed(version=1 << 63), "line 1, version", "out of range", "from 1"),
        (GOOD[:-1] + ', "version": NaN}', "line 1", "NaN", "number"),
        (GOOD[:-1] + ', "version": -Infinity}', "line 1", "-Infinity", "number"),
        (GOOD[:-1] + f', "version": {"9" * 5000}}}', "line 1", "too long", "sensible"),
        (changed(coalesce_ms=-1), "line 1, coalesce_ms", "the number -1", "from 0"),
        (changed(coalesce_ms=60_001), "line 1, coalesce_ms", "out of range", "to 60000"),
        (changed(mode="global"), "line 1, mode", "global", "leave it out"),
        (changed(mode="fast"), "line 1, mode", "'fast'", "per_ticker or legacy"),
        (changed(time_zone="America/NewYork"), "line 1, time_zone", "unknown", "America/New_York"),
        (changed(time_zone="../etc/passwd"), "line 1, time_zone", "unknown", "IANA"),
        (changed(session=1), "line 1, session", "the number 1", "quotes"),
        (changed(name=["x"]), "line 1, name", "a list", "quotes"),
        (changed(timefame="5m"), "line 1, 'timefame'", "unknown field", "did you mean timeframe?"),
        (changed(zzz=1), "line 1, 'zzz'", "unknown field", "the fields are strategy_id, "),
        (changed(strategy_id=None), "line 1, strategy_id", "missing", "add"),
        (changed(universe=None), "line 1, universe", "missing", "add"),
        (
            GOOD.replace('"timeframe"', '"strategy_id": "s2", "timeframe"'),
            "line 1",
            "'strategy_id' is there twice",
            "one",
        ),
        (f"{GOOD}\n\n{GOOD}", "line 3, strategy_id", "'s1' is there already, on line 1", "own"),
        (f"{GOOD}\n[]", "line 2", "an object", "strategy_id"),
        (f"{GOOD}\nnull", "line 2", "an object", "strategy_id"),
        (f'{GOOD}\n{{"strategy_id" "s2"}}', "line 2, column 16", "malformed JSON", "mend"),
        (GOOD[:-1], "line 1, column ", "malformed JSON", "mend"),
        (f"{GOOD[:-1]}\n{GOOD}", "line 1, column ", "malformed JSON", "mend"),
        ("[" * 100_000, "line 1", "nested too deeply", "flat"),
        (GOOD.replace('["AAPL"]', "[" * 100_000), "line 1", "nested too deeply", "flat"),
        (f"[\n{GOOD},\n\n{GOOD.replace('s1', 's2')[:-9]}", "line 4, column ", "malformed JSON", "mend"),
        (f"[\n{GOOD}\n{GOOD}]", "line 3, column 1", "comma", "mend"),
        (f"[\n{GOOD},\n]", "line 3, column 1", "comma", "mend"),
        (f"[\n{GOOD}\n", "line 3, column 1", "end of the list", "mend"),
        (f"[\n{GOOD}\n]\n{{}}", "line 4, column 1", "more text", "mend"),
        (f"[\n{GOOD},\n7]", "line 3", "an object", "strategy_id"),
        (f"[\n{GOOD},\n{GOOD}]", "line 3, strategy_id", "on line 2", "own"),
        ("hello", "line 1, column 1", "malformed JSON", "mend"),
        ("", "s.jsonl", "empty", "each line"),
        (b"\xef\xbb\xbf \n", "s.jsonl", "empty", "each line"),
        (GOOD.encode() + b"\n\xff", "line 2", f"not UTF-8 at byte {len(GOOD) + 1}", "UTF-8"),
        (b"\xef\xbb\xbf\xff", "line 1", "not UTF-8 at byte 3", "UTF-8"),
        (GOOD.encode("utf-16"), "line 1", "not UTF-8 at byte 0", "UTF-8"),
    ],
)
def test_a_mistake_in_json_is_told_with_place_and_remedy(
    tmp_path: Path, content: str | bytes, place: str, problem: str, remedy: str
) -> None:
    error = refused(tmp_path, "s.jsonl", content)

    assert place in error.place
    assert problem in error.problem
    assert remedy in error.remedy


YAML = "- strategy_id: s1\n  timeframe: 5m\n  universe: [AAPL]\n"


@pytest.mark.parametrize("loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)])
@pytest.mark.parametrize(
    ("content", "place", "problem", "remedy"),
    [
        (YAML.replace("s1", "12"), "line 1, strategy_id", "the number 12", "quotes"),
        (YAML.replace("s1", "2024-01-01"), "line 1, strategy_id", "date", "quotes"),
        (YAML.replace("AAPL", "A,\n   ON"), "line 4, universe, ticker 2", "true or false", "YAML reads yes, no, on"),
        (YAML.replace("AAPL", "7203"), "line 3, universe, ticker 1", "the number 7203", "quotes"),
        (YAML + "  version: 1.5\n", "line 4, version", "not whole", "from 1"),
        (YAML + "  version: .nan\n", "line 4, version", "not whole", "from 1"),
        (YAML + "  version: 0x10\n", "line 4, version", "not whole", "from 1"),
        (YAML + "  version: 010\n", "line 4, version", "not whole", "from 1"),
        (YAML + "  version: yes\n", "line 4, version", "true or false", "from 1"),
        (YAML + "  statsu: active\n", "line 4, 'statsu'", "unknown field", "did you mean status?"),
        (YAML + "  timeframe: 1m\n", "line 4, column 3", "'timeframe' is there twice", "one"),
        (YAML + "  1: 2\n", "line 4, column 3", "not text", "quotes"),
        (YAML + "  ? [a]\n  : b\n", "line 4, column 5", "not text", "quotes"),
        (YAML + YAML, "line 4, strategy_id", "on line 1", "own"),
        (YAML + "- 5\n", "line 4", "a mapping", "list of mappings"),
        (YAML + "- [\n", "line 5, column 1", "malformed YAML", "mend"),
        (YAML + "\t- x: y\n", "line 4, column ", "malformed YAML", "mend"),
        (YAML + "--- 1\n", "line 4, column 1", "second document", "one"),
        (YAML.replace("s1", "!!python/object:os.system x"), "line 1, column 16", "tag", "remove"),
        (YAML.replace("s1", "!!str 5"), "line 1, column 16", "tag", "remove"),
        (YAML.replace("[AAPL]", "*tech"), "line 3, column 13", "*tech names nothing", "write out"),
        (YAML.replace("[AAPL]", "&a [A, *a]"), "line 3, column 20", "*a names nothing", "write out"),
        (YAML.replace("[AAPL]", "[" * 50_000), "line 3, column ", "nested too deeply", "flat"),
        (YAML + "  <<: {version: 2}\n", "line 4, '<<'", "unknown field", "the fields are"),
        (YAML.replace("AAPL", "A\x07"), "line 3, column 15", "malformed YAML", "remove"),
        ("# nothing\n", "s.yaml", "comments", "[]"),
        ("strategies:\n", "line 1", "a mapping", "list of mappings"),
        ("text", "line 1", "a mapping", "list of mappings"),
        ("", "s.yaml", "empty", "strategy"),
    ],
)
def test_a_mistake_in_yaml_is_told_with_place_and_remedy(  # noqa: PLR0913, PLR0917 - the columns of the table
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loader: object, content: str, place: str, problem: str, remedy: str
) -> None:
    monkeypatch.setattr(yaml_entries, "_LOADER", loader)
    error = refused(tmp_path, "s.yaml", content)

    assert place in error.place
    assert problem in error.problem
    assert remedy in error.remedy


def test_quotes_make_text_of_anything_in_yaml(tmp_path: Path) -> None:
    found = read(tmp_path, "s.yaml", YAML.replace("AAPL", "'ON', \"7203\", 'null', y"))

    assert found.strategies[0].universe == {"ON", "7203", "null", "y"}


def test_an_alias_shares_a_universe(tmp_path: Path) -> None:
    text = YAML.replace("[AAPL]", "&tech [A, B]") + YAML.replace("s1", "s2").replace("[AAPL]", "*tech")
    first, second = read(tmp_path, "s.yaml", text).strategies

    assert first.universe == {"A", "B"}
    assert first.universe is second.universe


def test_a_bomb_of_aliases_is_refused_without_growing(tmp_path: Path) -> None:
    levels = [f"- &a{i} [{', '.join([f'*a{i - 1}'] * 9 if i else ['x'] * 9)}]" for i in range(30)]
    error = refused(tmp_path, "s.yaml", "\n".join(levels))

    assert "a mapping" in error.problem


def test_a_bomb_of_shared_universes_is_one_set(tmp_path: Path) -> None:
    tickers = ", ".join(f"T{i}" for i in range(5_000))
    text = YAML.replace("[AAPL]", f"&a [{tickers}]")
    text += "".join(YAML.replace("s1", f"x{i}").replace("[AAPL]", "*a") for i in range(200))
    found = read(tmp_path, "s.yaml", text)

    assert len({id(strategy.universe) for strategy in found.strategies}) == 1


@pytest.mark.parametrize(
    ("limit", "lines", "field", "problem"),
    [
        ("MAX_STRATEGIES", [GOOD, GOOD.replace("s1", "s2"), GOOD.replace("s1", "s3")], "strategy_id", "more than 2"),
        ("MAX_UNIVERSE", [changed(universe=["A", "B", "C"])], "universe", "3 tickers, the limit is 2"),
        ("MAX_TICKERS", [GOOD, changed(strategy_id="s2", universe=["B", "C"])], "universe", "more than 2 different"),
        ("MAX_PAIRS", [GOOD, changed(strategy_id="s2", universe=["B", "C"])], "universe", "more than 2 tickers"),
    ],
)
def test_limits_are_held_by_name(  # noqa: PLR0913, PLR0917 - the columns of the table
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, lines: list[str], field: str, problem: str
) -> None:
    monkeypatch.setattr(f"streams.strategy_file.{limit}", 2)
    error = refused(tmp_path, "s.jsonl", "\n".join(lines))

    assert f"line {len(lines)}, {field}" in error.place
    assert problem in error.problem


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    for name, problem in (("none.jsonl", "no such file"), ("folder.yaml", "is a directory"), ("s.txt", "suffix")):
        with pytest.raises(InputError, match=problem) as caught:
            read_strategies(tmp_path / name)
        assert caught.value.place == str(tmp_path / name)


@SHARED_FOLDER
@given(st.sampled_from(["s.jsonl", "s.json", "s.yaml"]), st.binary() | st.text(), st.integers(0, 200))
@example("s.yaml", "&a *a", 0)
@example("s.yaml", "? ? ?", 0)
@example("s.json", "[,]", 0)
def test_no_content_leads_to_anything_but_an_input_error(
    tmp_path: Path, name: str, noise: bytes | str, at: int
) -> None:
    good = (YAML if name == "s.yaml" else GOOD).encode()
    added = noise if isinstance(noise, bytes) else noise.encode(errors="surrogatepass")
    for content in (added, good[:at] + added + good[at:], good[:at] + added):
        with contextlib.suppress(InputError):
            read(tmp_path, name, content)
