"""`tickgate feed file`: the ticks of a file, whole and in its order, with what is none named."""

import asyncio
import gzip
import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from streams.cli import main
from streams.commands.feed_live import sent_file
from streams.core.columns import Int64s
from streams.feeds.file_feed import Due, Pace
from streams.feeds.file_rest import FileRest
from tests.feeds.on_kafka import an_environment, ticks_by_ticker
from tests.kafka.shared_broker import SharedBroker

HEADER = "ticker,ts,price,size,conditions"
GOOD = ["A,1000,1.5,100,", 'B,1001,2.5,7,"0 14"', "A,999,3.5,1,37", "Ü,1002,1e3,12.5,"]
TICKS = {
    "A": [(1000, 1.5, 100, ()), (999, 3.5, 1, (37,))],
    "B": [(1001, 2.5, 7, (0, 14))],
    "Ü": [(1002, 1000.0, 12, ())],
}


def a_csv(folder: Path, *lines: str) -> Path:
    path = folder / "ticks.csv.gz"
    path.write_bytes(gzip.compress("\n".join([HEADER, *lines, ""]).encode()))
    return path


def test_a_csv_file_arrives_without_the_rows_that_are_no_ticks(
    real_broker: SharedBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = an_environment(real_broker.bootstrap)
    path = a_csv(tmp_path, GOOD[0], "A,never,1,1,", GOOD[1], "", "A,5,much,1,", "A,5", *GOOD[2:], "A,6,1,nan,")
    with caplog.at_level(logging.WARNING):
        told = asyncio.run(sent_file(settings, path, None, None))
    assert ticks_by_ticker(settings) == TICKS
    assert (told["ticks"], told["refused_rows"], told["resized"], told["not_delivered"]) == (4, 4, 1, 0)
    for row in (2, 5, 6, 9):
        assert f"row {row} is no tick" in caplog.text


def test_a_parquet_file_arrives_at_its_pace(real_broker: SharedBroker, tmp_path: Path) -> None:
    count, settings = 1_000, an_environment(real_broker.bootstrap)
    ts, sizes = np.arange(count) + 10_000, np.arange(count, dtype=np.int32)
    columns = {
        "ticker": [f"T{at % 7}" for at in range(count)],
        "ts": ts,
        "price": ts / 8,
        "size": sizes,
        "conditions": [[at % 3] * (at % 3) for at in range(count)],
    }
    path = tmp_path / "ticks.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=300)
    told = asyncio.run(sent_file(settings, path, 2_000, None))
    wanted = {
        f"T{ticker}": [(10_000 + at, (10_000 + at) / 8, at, (at % 3,) * (at % 3)) for at in range(ticker, count, 7)]
        for ticker in range(7)
    }
    assert ticks_by_ticker(settings) == wanted
    assert told["ticks"] == count
    assert 0.49 <= told["seconds"] < 5


def test_price_and_size_are_found_by_row_however_rows_are_asked_for(tmp_path: Path) -> None:
    path = a_csv(tmp_path, *(f"A,{n},{n}.5,{n}," for n in range(1, 30)))
    rest = FileRest(path)
    for rows in ([1, 2], [], [5], [6, 20, 29]):
        asked: Int64s = np.array(rows, np.int64)
        found = rest.of(asked)
        assert (found.price.tolist(), found.size.tolist()) == ([n + 0.5 for n in rows], [float(n) for n in rows])


def test_ticks_are_due_by_the_rate_or_by_their_own_time_and_none_before_one_in_front() -> None:
    ts_ms: Int64s = np.array([5_000, 5_500, 5_400, 7_000])
    assert Due(Pace(None, None)).of(ts_ms).tolist() == [0, 0, 0, 0]
    by_rate = Due(Pace(4.0, None))
    assert by_rate.of(ts_ms).tolist() == [0, 0.25, 0.5, 0.75]
    assert by_rate.of(ts_ms[:1]).tolist() == [1.0]
    by_time = Due(Pace(None, 2.0))
    assert by_time.of(ts_ms).tolist() == [0, 0.25, 0.25, 1.0]
    assert by_time.of(np.array([9_000])).tolist() == [2.0]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("file", "none.csv", "--rate", "5", "--speed", "2"),
            "error: --rate: cannot go together with --speed; give one",
        ),
        (("polygon",), "error: TICKGATE_POLYGON_KEY: is not set; set it to the key that Polygon gave you"),
        (("coinbase", "--products", ", "), "error: --products: names none; write such as BTC-USD,ETH-USD"),
        (("coinbase", "--products", "A", "--url", "http://x"), "error: --url: is no address of a WebSocket; write"),
        (("coinbase", "--products", "A", "--url", "wss://x:y/"), "error: --url: is no address of a WebSocket; write"),
        (("coinbase", "--products", "A", "--url", "wss://"), "error: --url: is no address of a WebSocket; write such"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_begins(
    arguments: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TICKGATE_POLYGON_KEY", raising=False)
    done = CliRunner().invoke(main, ["feed", *arguments])
    assert done.exit_code == 2
    assert told in done.output
