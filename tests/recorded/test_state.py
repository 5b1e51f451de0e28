"""What stood at a time is what the oracles had by then."""

import random

import pytest

from streams.core.limits import NEVER
from streams.kafka.partitions import Homes
from streams.recorded.state import decided_up_to, of_strategy, of_ticker
from tests.recorded.day_oracles import oracles
from tests.recorded.made import DAY_MINUTES, MINUTE_MS, PARTITIONS, START_MS, TICKERS, MadeDay


@pytest.mark.parametrize("seed", range(6))
def test_tickers_and_strategies_stand_as_the_oracles_have_them(seed: int) -> None:
    day = MadeDay(seed, turned=bool(seed % 2))
    at_ms = START_MS + random.Random(seed).randrange(DAY_MINUTES * MINUTE_MS)
    deciding, wanted, homes = decided_up_to(day, at_ms), oracles(day, at_ms), Homes(PARTITIONS)
    fired = 0
    for ticker in TICKERS:
        oracle, found = wanted[homes[ticker]], of_ticker(deciding, ticker)
        assert found["last_update"] == oracle.last_update.get(ticker)
        ran = {sid: buckets[ticker] for sid, buckets in oracle.last_bucket.items() if ticker in buckets}
        for sid, bucket_ms in ran.items():  # a pair that came to a universe later knows what every ticker ran in
            assert found["last_bucket"][sid] in {bucket_ms, max(bucket_ms, oracle.every_ticker_ran.get(sid, NEVER))}
        others = found["last_bucket"].keys() - ran.keys()
        assert all(found["last_bucket"][sid] == oracle.every_ticker_ran[sid] for sid in others)
        fired += len(ran)
    assert fired > 20
    for strategy in day.strategies:
        sid = strategy.strategy_id
        home, found = wanted[homes[sid]], of_strategy(deciding, sid)
        stands = home.strategies.get(sid)
        assert (found["version"], found["status"]) == ((stands.version, stands.status) if stands else (None, None))
        assert (found["last_run"] or NEVER) == home.last_trigger.get(sid, NEVER)
        assert found["stream_time"] == home.stream_ms
        by_ticker = {ticker: of_ticker(deciding, ticker)["last_bucket"].get(sid) for ticker in TICKERS}
        assert found["last_bucket"] == {ticker: by_ticker[ticker] for ticker in sorted(TICKERS) if by_ticker[ticker]}
