"""Results as a consumer of executions would report them, for tests of discovery."""

from typing import Any, Final

from bench import workload
from bench.kafka_ground import Place
from bench.kafka_worker import Worker
from streams.kafka.codec import Encoder
from streams.kafka.registry import FileSchemas
from tests.worker.inputs import At, Given, Hand

START_MS: Final = workload.START_MS - workload.START_MS % 3_600_000
INTERVAL_MS: Final = 10_000
ENCODER: Final = Encoder(FileSchemas(), ["result"])


def value(
    strategy_id: str, symbols: list[str], *, version: int = 1, ts_ms: int = START_MS, status: str = "ok"
) -> bytes:
    """A result as it stands on its topic."""
    record = {
        "execution_id": "e",
        "strategy_id": strategy_id,
        "strategy_version": version,
        "bucket_ms": 0,
        "ts": ts_ms,
        "status": status,
        "used_symbols": symbols,
    }
    return ENCODER.encode("result", record)


class Reporter:
    """Reports, as a worker that runs strategies."""

    def __init__(self, place: Place) -> None:
        self.hand = Hand(place, place.topics.alert_results)

    def report(self, strategy_id: str, symbols: list[str], **more: Any) -> At:
        """Send one, and wait until it is there."""
        return self.hand.send(Given(strategy_id.encode(), value(strategy_id, symbols, **more)))


def universe(worker: Worker, strategy_id: str) -> tuple[int, list[str]] | None:
    """The version that stands, and its tickers; none where it watches all."""
    row = worker.table_row("strategies", strategy_id)
    return row and (row["version"], [] if row["universe"] == "all" else sorted(row["universe"]))


def wait_for(worker: Worker, strategy_id: str, version: int, tickers: list[str]) -> None:
    """Wait until it stands so; one that stands otherwise under that version is told at once."""

    def stands(each: Worker) -> bool:
        found = universe(each, strategy_id)
        assert found is None or found[0] <= version, f"{found}, and not {(version, tickers)}"
        assert found is None or found[0] < version or found[1] == tickers, f"{found}, and not {(version, tickers)}"
        return found == (version, tickers)

    worker.wait_until(stands, f"watching {tickers} as version {version}")
