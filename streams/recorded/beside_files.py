"""What a recording's ticks were decided by, as files of JSON lines next to them.

`strategies.jsonl` is a strategy file: what stood at the start, for any replay. The others are for a replay of the
recording as it was: `flags.jsonl` what was set at the start, `changes.jsonl` what came later, `journal.jsonl` from
which tick on each shard had taken how much of it, `turns.jsonl` when strategies went from pairs to the whole, or back.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from streams.core.events import Clock, Mode, Status, Strategy, Tombstone
from streams.core.flags import Control, Scope
from streams.core.journal import Entry
from streams.core.turns import Turn, Turns, Way
from streams.errors import InputError, os_trouble
from streams.recorded.beside import Beside, Event, Stands
from streams.strategy_file import EVERY_TICKER, as_fields, write_strategies
from streams.whole_files import write_whole

STRATEGIES: Final = "strategies.jsonl"
FLAGS: Final = "flags.jsonl"
CHANGES: Final = "changes.jsonl"
JOURNAL: Final = "journal.jsonl"
TURNS: Final = "turns.jsonl"
NAMES: Final = (STRATEGIES, FLAGS, CHANGES, JOURNAL, TURNS)

_DAMAGED: Final = "record the range again, or copy the recording again from where it is whole"

Line = Mapping[str, Any]


def write_beside(beside: Beside, folder: Path) -> None:
    """Write the files, each whole."""
    strategies = [each.stands for each in beside.strategies if isinstance(each.stands, Strategy)]
    write_strategies(strategies, folder / STRATEGIES)
    _write(folder / FLAGS, (_control_line(each) for each in beside.controls))
    _write(folder / CHANGES, _change_lines(beside))
    _write(folder / JOURNAL, _journal_lines(beside))
    _write(folder / TURNS, (_turns_line(sid, turns) for sid, turns in sorted(beside.turns.items())))


def read_beside(folder: Path, shards: int, default_mode: Mode, known: Iterable[Line]) -> Beside:
    """Read them back; raises `InputError`."""
    before = {each["strategy_id"]: frozenset[str](each["universe"]) for each in _lines(folder / CHANGES, "before")}
    strategies = [_strategy(line) for line in _lines(folder / STRATEGIES)]
    others: dict[tuple[str, int], list[tuple[int, Event]]] = {}
    for line in _lines(folder / CHANGES, "topic"):
        others.setdefault((line["topic"], line["partition"]), []).append((line["offset"], _event(line)))
    entries: dict[int, list[Entry]] = {}
    for line in _lines(folder / JOURNAL):
        inputs = {(each["topic"], each["partition"]): each["next_offset"] for each in line["inputs"]}
        entries.setdefault(line["partition"], []).append(Entry(line["next_offset"], inputs))
    return Beside(
        shards,
        default_mode,
        [Stands(each, before.get(each.strategy_id, frozenset())) for each in strategies],
        [_control(line) for line in _lines(folder / FLAGS)],
        {line["strategy_id"]: _turns(line) for line in _lines(folder / TURNS)},
        {(each["topic"], each["partition"]): each["next_offset"] for each in known},
        others,
        entries,
    )


def inputs_lines(inputs: Mapping[tuple[str, int], int]) -> list[Line]:
    """Positions as they stand in a line, or in the manifest."""
    return [{"topic": t, "partition": p, "next_offset": offset} for (t, p), offset in sorted(inputs.items())]


def _write(path: Path, lines: Iterable[Line]) -> None:
    write_whole(path, (json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def _lines(path: Path, having: str = "") -> Iterator[Any]:
    """Each line of a file; or only those with a field."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, 1):
                line = json.loads(text)
                if not isinstance(line, dict):
                    raise InputError(f"{path}, line {number}", "not an object", _DAMAGED)
                if not having or having in line:
                    yield line
    except OSError as error:
        raise InputError(str(path), f"cannot be read ({os_trouble(error)})", _DAMAGED) from error
    except ValueError as error:
        raise InputError(str(path), f"not JSON lines ({error})", _DAMAGED) from error


def _change_lines(beside: Beside) -> Iterator[Line]:
    """What came later, each partition in its order; first, the universes that emptied strategies went on with."""
    for each in beside.strategies:
        if each.before:
            yield {"before": True, "strategy_id": each.strategy_id, "universe": sorted(each.before)}
    for (topic, partition), events in sorted(beside.others.items()):
        for offset, event in events:
            yield {"topic": topic, "partition": partition, "offset": offset, **_event_fields(event)}


def _event_fields(event: Event) -> Line:
    match event:
        case Stands(Tombstone(strategy_id)):
            return {"tombstone": strategy_id}
        case Stands(strategy, before):
            assert isinstance(strategy, Strategy), "what is no tombstone"
            went_on = {"universe_before": sorted(before)} if before else {}
            return {"strategy": as_fields(strategy), **went_on}
        case Control():
            return {"control": _control_line(event)}
        case Clock():
            return {"clock_ms": event.ts_ms}


def _event(line: Line) -> Event:
    if "tombstone" in line:
        return Stands(Tombstone(line["tombstone"]))
    if "strategy" in line:
        return Stands(_strategy(line["strategy"]), frozenset(line.get("universe_before", ())))
    return _control(line["control"]) if "control" in line else Clock(line["clock_ms"])


def _strategy(fields: Line) -> Strategy:
    """As it stood on its topic: a file that people write is held to more."""
    told = dict(fields)
    universe = frozenset() if told["universe"] == EVERY_TICKER else frozenset(told["universe"])
    told |= {"universe": universe, "status": Status(told.get("status", Status.ACTIVE))}
    if told.get("mode") is not None:
        told["mode"] = Mode(told["mode"])
    return Strategy(**told)


def _control_line(control: Control) -> Line:
    return {**control._asdict(), "scope": str(control.scope)}


def _control(line: Line) -> Control:
    return Control(**{**line, "scope": Scope(line["scope"])})


def _journal_lines(beside: Beside) -> Iterator[Line]:
    for partition, entries in sorted(beside.entries.items()):
        for entry in entries:
            yield {"partition": partition, "next_offset": entry.next_offset, "inputs": inputs_lines(entry.inputs)}


def _turns_line(strategy_id: str, turns: Turns) -> Line:
    told = [{"turn_ms": turn.turn_ms, "way": str(turn.way)} for turn in turns]
    return {"strategy_id": strategy_id, "turns": told}


def _turns(line: Line) -> Turns:
    return tuple(Turn(each["turn_ms"], Way(each["way"])) for each in line["turns"])
