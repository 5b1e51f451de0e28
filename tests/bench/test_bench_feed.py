"""What the feed's bench sends is a market as Polygon would send it: whole, in its order, without a number left out."""

import numpy as np

from bench import feed_server
from streams.feeds.polygon import Polygon
from streams.feeds.synthetic import CONDITIONS, Plan, parts, ticker_names

TRADES = 3_000


def test_the_market_of_the_bench_is_read_as_it_was_made() -> None:
    feed, rate = Polygon("", (), 1), feed_server.MARKET_RATE
    read = feed.read(feed_server.messages(7, TRADES, 70), 1)
    plan = Plan(feed_server.START_MS, rate, TRADES / rate, feed_server.TICKERS, 7, opening_s=0)
    (made,) = parts(plan)
    assert len(read.ticks.ts_ms) == TRADES
    for column in ("ts_ms", "price", "size"):
        assert np.array_equal(getattr(read.ticks, column), getattr(made, column))
    names, codes = list(feed.encoder.names), list(feed.encoder.conditions)
    wanted_names = ticker_names(feed_server.TICKERS)
    assert [names[at] for at in read.ticks.ticker.tolist()] == [wanted_names[at] for at in made.ticker.tolist()]
    assert [codes[at] for at in read.ticks.conditions.tolist()] == [CONDITIONS[at] for at in made.conditions.tolist()]
    assert (read.jumps, read.behind, read.resized, read.refused) == (0, 0, 0, [])
