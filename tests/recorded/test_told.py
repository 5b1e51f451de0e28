"""A replay of topics tells of itself what one of files does: a report, and what happened to each strategy."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from streams.core.events import Strategy
from streams.recorded.beside import Stands
from streams.recorded.placed import Refused, Ticks
from streams.recorded.replay import How, replay_day
from streams.replay.result_folder import open_result
from tests.recorded.made import MINUTE_MS, PARTITIONS, START_MS, MadeDay

TOLD = ("executions.parquet", "definitions.parquet", "report.html", "manifest.json")


class InRuns(MadeDay):
    """The same day in runs of so many ticks."""

    size = 1_000

    def runs(self, *sizes: int) -> Iterator[tuple[Ticks | None, list[Refused]]]:
        yield from super().runs(*sizes or (self.size,))


@pytest.mark.parametrize("seed", range(4))
def test_what_is_told_hangs_on_the_day_alone(tmp_path: Path, seed: int) -> None:
    counts = []
    for size in (1_000, 37):
        day = InRuns(seed, turned=bool(seed % 2))
        day.size = size
        counts.append(replay_day(day, tmp_path / str(size), How()).counts)
    for name in TOLD:
        assert (tmp_path / "37" / name).read_bytes() == (tmp_path / "1000" / name).read_bytes(), name
    fired = Counter(pq.read_table(tmp_path / "37" / "executions.parquet").column("strategy_id").to_pylist())
    told = open_result(str(tmp_path / "37")).definitions.to_pylist()
    assert {each["strategy_id"]: each["fired_pairs"] for each in told if each["fired_pairs"]} == fired
    for reason in ("bucket_dup", "late"):
        assert 0 < sum(each[reason] for each in told) == counts[0][reason]
    stood = last_versions(InRuns(seed, turned=bool(seed % 2)))
    assert {each["strategy_id"]: each["timeframe"] for each in told} == stood


def last_versions(day: MadeDay) -> dict[str, str]:
    """Of each strategy the timeframe of the newest version that any shard took."""
    events = [*day.beside.strategies, *(event for p in range(PARTITIONS) for event in day.beside.taking(p).rest())]
    versions = [each.stands for each in events if isinstance(each, Stands) and isinstance(each.stands, Strategy)]
    newest = {each.strategy_id: each for each in sorted(versions, key=lambda each: each.version)}
    return {strategy_id: strategy.timeframe for strategy_id, strategy in newest.items()}


def test_fires_of_the_warm_up_are_not_told(tmp_path: Path) -> None:
    replay_day(MadeDay(1), tmp_path, How(warm_until_ms=START_MS + 10 * MINUTE_MS))
    told = open_result(str(tmp_path)).definitions.column("fired_pairs").to_pylist()
    assert sum(told) == pq.ParquetFile(tmp_path / "executions.parquet").metadata.num_rows > 0


def test_no_report_is_written_where_none_is_wanted_and_none_of_an_earlier_replay_stays(tmp_path: Path) -> None:
    replay_day(MadeDay(1), tmp_path, How())
    assert "Tick" in (tmp_path / "report.html").read_text(encoding="utf-8")
    replay_day(MadeDay(1), tmp_path, How(report=False))
    assert not (tmp_path / "report.html").exists()
