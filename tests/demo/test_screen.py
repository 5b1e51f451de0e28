"""What the demonstration reads off a worker, and what it shows of it. The worker is made up, its metrics are not."""

import io
from typing import Any

from rich.console import Console

from streams.demo.readings import Reading, reading
from streams.demo.screen import Moment, line, screen, tickers_of
from streams.demo.shows import LINE_EVERY_S, LiveShow, PlainShow
from streams.instruments import Done, ShardStatus
from streams.metrics import Metrics
from streams.views.health import readiness


class MadeUpWorker:
    """Two shards, of which one has trouble."""

    ready = True
    shards = (
        ShardStatus("demo.ticks", 1, "stopped", moving=False, position=40, end=100, reason="the disk is full"),
        ShardStatus("demo.ticks", 0, "running", moving=True, position=1_000, end=1_200),
    )


DONE = Done(0.01, ticks=2_000, irrelevant=100, updates=1_900, late=10, bucket_dup=690, fired_pairs=300, executions=25)
EXECUTION: dict[str, Any] = {
    "strategy_id": "s00042",
    "timeframe": "5m",
    "bucket_ms": 1_772_461_800_000,
    "mode": "per_ticker",
    "scope": "tickers",
    "tickers": ["ABCD", "EFGH"],
}


def made_up(at_s: float = 12.0) -> Reading:
    metrics = Metrics()
    metrics.done(DONE)
    return reading(metrics.exposed()[0].decode(), readiness(MadeUpWorker()).report, at_s)._replace(on_topic=1_300)


def moment() -> Moment:
    return Moment(
        elapsed_s=10.0,
        market_ms=1_772_461_860_000,
        opening=True,
        now=made_up(),
        before=Reading(10.0, ticks=1_000, executions=5),
        executions=[EXECUTION],
    )


def test_every_count_is_found_in_the_metrics() -> None:
    found = made_up()
    counts = (found.ticks, found.irrelevant, found.fired, found.executions, found.bucket_dup, found.late)
    assert counts == (2_000, 100, 300, 25, 690, 10)
    assert (found.skip_ratio, found.irrelevant_ratio) == (0.7, 0.05)


def test_the_shards_are_found_in_their_order_with_their_lag() -> None:
    found = made_up()
    assert [(each.partition, each.state, each.moving, each.lag) for each in found.shards] == [
        (0, "running", True, 200),
        (1, "stopped", False, 60),
    ]
    assert (found.ready, found.lag, found.taken) == (False, 260, 1_040)


def test_a_worker_without_work_has_skipped_nothing() -> None:
    assert (Reading(0.0).skip_ratio, Reading(0.0).irrelevant_ratio) == (0.0, 0.0)


def test_the_picture_holds_flow_shards_and_executions() -> None:
    console = Console(file=io.StringIO(), width=120)
    console.print(screen(moment()))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for part in (
        *("2026-03-02 14:31:00 UTC", "the market opens", "2,000", "500/s", "10/s", "70.0%", "5.0%", "260"),
        *("running", "stopped", "the disk is full", "s00042", "5m", "14:30:00", "per_ticker", "ABCD EFGH"),
    ):
        assert part in shown, part


def test_a_line_says_the_same_in_short() -> None:
    assert line(moment()) == (
        "  10 s  2,000 ticks (500/s)  25 executions  300 pairs fired, 70.0% skipped  lag 260  1 of 2 shards moving"
    )


def test_no_time_between_two_readings_is_no_speed() -> None:
    assert moment()._replace(before=made_up()).ticks_a_second == 0


def test_many_tickers_are_shortened_and_a_universe_is_named() -> None:
    many = {**EXECUTION, "tickers": list("ABCDEFGHIJ")}
    assert tickers_of(many) == "A B C D E F and 4 more"
    assert tickers_of({**EXECUTION, "tickers": [], "scope": "universe"}) == "its whole universe"


def test_lines_come_now_and_then_and_words_at_once() -> None:
    said: list[str] = []
    show = PlainShow(said.append)
    for tenths in range(10 * int(2 * LINE_EVERY_S)):
        show.moment(moment()._replace(elapsed_s=tenths / 10))
    show.say("done")
    assert len(said) == 3
    assert said[-1] == "done"


def test_the_picture_is_drawn_on_a_terminal() -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    with LiveShow(console) as show:
        show.say("Starting")
        show.moment(moment())
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Starting" in shown
    assert "s00042" in shown
