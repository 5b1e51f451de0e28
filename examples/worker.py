"""A worker that runs strategies: it takes each alert execution, and reports back what came of it.

    TICKGATE_BROKER=127.0.0.1:9092 .venv/bin/python examples/worker.py

Start as many as there are partitions; they share the work. SIGTERM and SIGINT end one in good order.
"""

import asyncio
import logging
import os

from streams.consumer import SKIPPED, Execution, Report, Trigger, run
from streams.settings import Settings


async def my_strategy(execution: Execution) -> Report:
    """Put your strategy here. What it raises is reported as failed, and the next one goes on."""
    if execution.run_id:
        return SKIPPED  # a replay wrote it: not live
    print(execution.strategy_id, execution.bucket_ms, execution.scope, *execution.tickers, flush=True)
    triggers = [Trigger(ticker, conviction=0.5, reason="example") for ticker in execution.tickers]
    # used_symbols would become the strategy's universe; not given, the universe stays as it is.
    return Report(triggers=triggers)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(run(my_strategy, Settings.read(os.environ), "example-worker", concurrency=8))
