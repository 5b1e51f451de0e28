"""`run` on a real Kafka: each execution has its result, where it belongs, before it is committed."""

import asyncio
import signal
from typing import Any

from streams.consumer import Execution, Report, Trigger, run
from tests.consumer.ground import QUICK, Ground, execution, got, home, in_loop


def worked_off(ground: Ground, function: Any, count: int, **more: Any) -> None:
    """Run until the function was called so often."""
    calls = 0

    async def counted(told: Execution) -> Any:
        nonlocal calls
        calls += 1
        if calls == count:
            signal.raise_signal(signal.SIGTERM)
        return await function(told)

    in_loop(lambda: run(counted, ground.settings, "g", limits=QUICK, **more))


def test_results_are_where_they_belong_and_say_what_came_of_it(ground: Ground) -> None:
    told = [execution(f"s{n % 5}", n, execution_id=f"e{n}") for n in range(40)]
    for partition in (0, 1):
        ground.put([each for each in told if home(each.strategy_id) == partition], partition=partition)

    async def function(told: Execution) -> Report | None:
        bucket = got(told).bucket
        if bucket % 5 == 0:
            raise LookupError(f"no data for {bucket}")
        return Report(["AAPL", "X"], [Trigger("X", 0.25, "buy")]) if bucket % 5 == 1 else None

    worked_off(ground, function, len(told), worker_id="w1")
    results = ground.results()
    by_id = {each.record["execution_id"]: each for each in results}
    assert len(results) == len(by_id) == len(told)
    for n, each in enumerate(told):
        found = by_id[f"e{n}"]
        assert (found.key, found.partition) == (each.strategy_id.encode(), home(each.strategy_id))
        assert (found.time_ms, found.record["ts"], found.record["bucket_ms"]) == (
            each.ts_ms,
            each.ts_ms,
            each.bucket_ms,
        )
        assert (found.record["strategy_version"], found.record["worker_id"]) == (3, "w1")
        assert found.record["status"] == ("failed" if n % 5 == 0 else "ok")
        assert found.record["error"] == (f"LookupError: no data for {n}" if n % 5 == 0 else "")
        assert found.record["used_symbols"] == (["AAPL", "X"] if n % 5 == 1 else [])
        assert len(found.record["triggers"]) == (n % 5 == 1)
    for strategy in {each.strategy_id for each in told}:
        mine = [each.record["bucket_ms"] for each in results if each.record["strategy_id"] == strategy]
        assert mine == sorted(mine)
    assert ground.committed(partition=0) + ground.committed(partition=1) == len(told)


def test_repeats_and_bad_values_have_no_result_and_hold_up_nothing(ground: Ground) -> None:
    ground.put([execution("s", 0), b"junk.....", execution("s", 0), None, execution("s", 1)])

    async def function(told: Execution) -> None:
        return None

    worked_off(ground, function, 2)
    assert [each.record["bucket_ms"] for each in ground.results()] == [0, 60_000]
    assert ground.committed() == 5


def test_what_was_cut_off_runs_again_and_is_reported_with_the_same_id(ground: Ground) -> None:
    ground.put([execution("s", 0, execution_id="e0"), execution("s", 1, execution_id="e1")])

    async def hangs_at_the_second(told: Execution) -> None:
        if told.execution_id == "e1":
            signal.raise_signal(signal.SIGTERM)
            await asyncio.Event().wait()

    in_loop(lambda: run(hangs_at_the_second, ground.settings, "g", limits=QUICK._replace(hand_over_s=0.1)))
    assert ground.committed() == 1

    async def function(told: Execution) -> None:
        return None

    worked_off(ground, function, 1)
    assert [each.record["execution_id"] for each in ground.results()] == ["e0", "e1"]
    assert ground.committed() == 2
