"""What the core can do, beside what a user would write instead: `fastavro` with dictionaries, and Polars.

All candidates take the whole reference workload from memory and must find all its pairs. Ours leaves the
fires as columns and runs on one core; Polars may use all of them. Getting strategies into the form that a
candidate wants is not timed, for any of them.
"""

import io
import json
from pathlib import Path
from typing import Any, Final

import fastavro
import numpy as np
import polars as pl

from bench import reference
from bench.timing import Candidate, in_turn, ratio
from streams.core.columns import Bytes
from streams.core.events import Strategy
from streams.core.plan import decode_plan
from streams.core.shard import Shard, Ticks
from streams.reference_data import load_conditions

BATCH_TICKS: Final = 20_000
TICK_SCHEMA: Final = json.loads((Path(__file__).parents[1] / "schemas" / "tick.avsc").read_text())


def loaded_shard(strategies: list[Strategy], *, compared: bool = False) -> Shard:
    """A shard with the strategies in force."""
    shard = Shard(load_conditions())
    shard.compare(on=compared)
    for strategy in strategies:
        shard.change(strategy)
    return shard


def joined(values: list[bytes]) -> tuple[Bytes, reference.Int64s, reference.Int64s]:
    """Values one behind the other, as a fetched run of records holds them."""
    ends = np.cumsum([len(value) for value in values])
    return np.frombuffer(b"".join(values), np.uint8), np.concatenate(([0], ends[:-1])), ends


def must_find(pairs: int, found: int) -> None:
    """A candidate that does not find the answer has no time."""
    if found != pairs:
        raise AssertionError(f"found {found} pairs of {pairs}")


def kernel_on_values(work: reference.Workload, values: list[bytes], *, compared: bool = False) -> Candidate:
    """Ours, from encoded values; with the other throttle in the shadow, where it is compared."""
    data, starts, ends = joined(values)
    plan, strategies = decode_plan(TICK_SCHEMA), work.strategies

    def run(shard: Shard) -> None:
        fired = 0
        for at in range(0, len(starts), BATCH_TICKS):
            part = slice(at, at + BATCH_TICKS)
            ticks, _ = shard.from_values(data, starts[part], ends[part], plan, 1)
            fired += len(shard.step(ticks).tick)
        must_find(work.pairs, fired)

    return Candidate(lambda: loaded_shard(strategies, compared=compared), run)


def kernel_on_columns(work: reference.Workload) -> Candidate:
    """Ours, from columns."""
    strategies = work.strategies

    def run(shard: Shard) -> None:
        fired = 0
        numbers = shard.index.tickers.numbers(work.names)
        for at in range(0, len(work.who), BATCH_TICKS):
            who, when = work.who[at : at + BATCH_TICKS], work.when[at : at + BATCH_TICKS]
            fired += len(shard.step(Ticks(numbers[who], when, np.ones(len(who), np.uint8))).tick)
        must_find(work.pairs, fired)

    return Candidate(lambda: loaded_shard(strategies), run)


def fastavro_and_dictionaries(work: reference.Workload, values: list[bytes]) -> Candidate:
    """The oracle's dictionaries, as lean as Python has them, behind the fastest Avro reader there is for it."""
    schema = fastavro.parse_schema(TICK_SCHEMA)
    watchers: dict[str, list[tuple[str, int]]] = {}
    for name, (timeframe_ms, universe) in work.raw_strategies.items():
        for ticker in universe:
            watchers.setdefault(ticker, []).append((name, timeframe_ms))

    def run(last_bucket: dict[str, dict[str, int]]) -> None:
        last_update: dict[str, int] = {}
        fired = 0
        for value in values:
            tick: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
            ticker, ts_ms = tick["ticker"], tick["ts"]
            last_update[ticker] = max(ts_ms, last_update.get(ticker, 0))
            buckets = last_bucket.setdefault(ticker, {})
            for name, timeframe_ms in watchers.get(ticker, ()):
                bucket_ms = ts_ms - ts_ms % timeframe_ms
                if bucket_ms > buckets.get(name, -1):
                    buckets[name] = bucket_ms
                    fired += 1
        must_find(work.pairs, fired)

    return Candidate(dict, run)


def polars_grouping(work: reference.Workload) -> Candidate:
    """The same answer from columns: distinct (ticker, bucket) for each timeframe, joined with who watches."""
    number = {name: at for at, name in enumerate(work.names)}
    rows = [
        (at, timeframe_ms, number[ticker])
        for at, (timeframe_ms, universe) in enumerate(work.raw_strategies.values())
        for ticker in universe
    ]
    watchers = pl.DataFrame(
        rows, {"strategy": pl.Int32, "timeframe": pl.Int64, "ticker": pl.Int32}, orient="row"
    ).partition_by("timeframe", as_dict=True)
    ticks = pl.DataFrame({"ticker": work.who, "ts": work.when})

    def run(frames: dict[tuple[Any, ...], pl.DataFrame]) -> None:
        fires = [
            ticks.lazy()
            .select("ticker", (pl.col("ts") // timeframe_ms * timeframe_ms).alias("bucket"))
            .unique()
            .join(who.lazy().select("strategy", "ticker"), on="ticker")
            for (timeframe_ms,), who in frames.items()
        ]
        must_find(work.pairs, sum(len(frame) for frame in pl.collect_all(fires)))

    return Candidate(lambda: watchers, run)


def report(seed: int, ticks: int, rounds: int) -> list[str]:
    """Run everything in turn, and say it in lines."""
    work = reference.make(seed, ticks)
    values = reference.encoded(work)
    quick = in_turn(
        {
            "kernel, encoded values": kernel_on_values(work, values),
            "kernel, with a shadow": kernel_on_values(work, values, compared=True),
            "kernel, columns": kernel_on_columns(work),
            "polars, columns": polars_grouping(work),
        },
        2 * rounds + 1,
    )
    slow = in_turn(
        {
            "kernel, encoded values": kernel_on_values(work, values),
            "fastavro and dictionaries": fastavro_and_dictionaries(work, values),
        },
        rounds,
    )
    rates = {**quick, "fastavro and dictionaries": slow["fastavro and dictionaries"]}
    lines = [f"core: {ticks:,} ticks, {work.pairs:,} pairs, seed {seed}; every candidate found them all"]
    lines += [f"  {name:28} {ticks / timing.median / 1e6:8.2f} million ticks/s" for name, timing in rates.items()]
    against_avro = ratio(slow["kernel, encoded values"], slow["fastavro and dictionaries"])
    against_polars = ratio(quick["kernel, columns"], quick["polars, columns"])
    lines.append(f"  encoded values against fastavro and dictionaries: {against_avro:.1f} times (aim 50)")
    lines.append(f"  columns against polars: {against_polars:.1f} times (aim: ahead)")
    shadow = ratio(quick["kernel, encoded values"], quick["kernel, with a shadow"]) - 1
    lines.append(f"  what a shadow costs, of encoded values: {shadow:.1%} (aim below 10%)")
    return lines
