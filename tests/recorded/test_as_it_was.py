"""A day that was lived through on a real broker is decided again: from the topics, and from a recording of them."""

import json
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from bench import reference
from bench.kafka_ground import Place
from streams.recorded.explain import FIRED, explain
from streams.recorded.recording import Recording
from streams.recorded.telling import ELSEWHERE, Question
from streams.reference_data import load_conditions
from streams.replay.result_folder import open_result
from tests.recorded.lived import invoked, live_a_day, replayed, rows_of

WORK = reference.make(7, 40_000, tickers=300, strategies=60)


def test_a_day_with_crashes_and_changes_comes_out_as_it_was_lived(place: Place, tmp_path: Path) -> None:
    day = live_a_day(place, WORK)
    lived = rows_of(day.executions())
    assert {mode for *_, mode in lived} == {"per_ticker", "legacy", "global"}
    from_topics, recording, from_recording = (tmp_path / name for name in ("topics", "recording", "replayed"))
    for arguments in (
        ("replay", "--ticks", "kafka://", "--out", str(from_topics)),
        ("record", "--out", str(recording)),
        ("replay", "--ticks", str(recording), "--out", str(from_recording), "--batch-ticks", "997"),
    ):
        done = invoked(place, *arguments)
        assert done.exit_code == 0, done.output
    found = Counter(replayed(from_topics))
    assert max(found.values()) == 1
    if place.guarantee == "exactly_once":
        assert found == lived
    else:
        assert found.keys() <= lived.keys()  # what a crash cut off was sent, and then decided by later strategies
    for name in ("executions.parquet", "manifest.json", "rejected.jsonl", "definitions.parquet"):
        assert (from_topics / name).read_bytes() == (from_recording / name).read_bytes(), name
    assert json.loads((from_topics / "manifest.json").read_text())["counts"]["ticks"] == 40_000
    told = open_result(str(from_topics)).definitions.to_pylist()
    fired = Counter(strategy_id for strategy_id, *_ in found)
    assert {each["strategy_id"]: each["fired_pairs"] for each in told if each["fired_pairs"]} == fired
    assert sum(each["bucket_dup"] for each in told) > 0
    compared = invoked(place, "compare", str(from_topics), str(from_recording), "--out", str(tmp_path / "compared"))
    assert f"Both have the same {found.total():,} executions." in compared.output
    if place.guarantee == "exactly_once":
        explained_as_sent(recording, day.executions())


def explained_as_sent(recording: Path, executions: list[dict[str, Any]]) -> None:
    """Explained is which record of its cause fired each ticker."""
    draw, of_mode = random.Random(3), defaultdict[str, list[dict[str, Any]]](list)
    for execution in executions:
        of_mode[execution["mode"]].append(execution)
    for sent in (each for some in of_mode.values() for each in draw.choices(some, k=8)):
        ticker, cause = draw.choice(sent["tickers"] or ["T0001"]), sent["cause"]
        day = Recording(recording, load_conditions(), 1 << 14)
        answer = explain(day, Question(sent["strategy_id"], ticker, sent["bucket_ms"]))
        if answer.word == ELSEWHERE:
            assert sent["mode"] == "legacy"
            continue
        assert answer.word == FIRED, (sent, answer)
        assert answer.ran is not None
        assert str(answer.ran.fire.mode) == sent["mode"]
        if cause["topic"].endswith("clock"):
            assert answer.place == f"a clock record of partition {cause['partition']}"
            continue
        assert answer.ran.offset is not None
        assert cause["first_offset"] <= answer.ran.offset <= cause["last_offset"]
        assert answer.place == f"{cause['topic']}, partition {cause['partition']}, offset {answer.ran.offset}"
