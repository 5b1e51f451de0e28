"""A day that was lived through on a real broker is decided again: from the topics, and from a recording of them."""

import json
from collections import Counter
from pathlib import Path

from bench import reference
from bench.kafka_ground import Place
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
    for name in ("executions.parquet", "manifest.json", "rejected.jsonl"):
        assert (from_topics / name).read_bytes() == (from_recording / name).read_bytes(), name
    assert json.loads((from_topics / "manifest.json").read_text())["counts"]["ticks"] == 40_000
