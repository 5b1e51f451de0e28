"""`python -m bench [NAME...]`: everything, or what is named. Figures beside each other are of one run."""

import argparse
import signal
import sys
from collections.abc import Callable

from bench import (
    core,
    feed,
    kafka_changes,
    kafka_latency,
    kafka_memory,
    kafka_recovery,
    kafka_throughput,
    pattern,
    redis_trouble,
    redis_view,
    replay,
    start,
    state,
    universe,
)
from bench.kafka_ground import RunError
from bench.redis_hurt import TROUBLES

TICKS = 2_000_000
REPORTS: dict[str, Callable[[argparse.Namespace], list[str]]] = {
    "core": lambda args: core.report(args.seed, args.ticks or TICKS, args.rounds),
    "state": lambda args: state.report(args.seed),
    "pattern": lambda args: pattern.report(args.seed, args.rounds),
    "replay": lambda args: replay.report(args.seed, args.ticks or replay.TICKS, args.rounds),
    "redis": lambda args: redis_view.report(args.seed, args.rounds),
    "redis-trouble": lambda args: redis_trouble.report(
        args.seed, args.ticks or redis_trouble.TICKS, args.minute_seconds, args.trouble
    ),
    "start": lambda args: start.report(args.seed, args.rounds),
    "universe": lambda args: universe.report(2 * args.rounds),
    "kafka": lambda args: kafka_throughput.report(args.seed, args.ticks or TICKS, args.rounds),
    "latency": lambda args: kafka_latency.report(args.seed, args.minutes),
    "feed": lambda args: feed.report(args.seed, args.ticks or feed.TRADES, args.rounds),
    "recovery": lambda args: kafka_recovery.report(args.seed, args.rounds),
    "memory": lambda args: kafka_memory.report(args.seed, args.ticks or kafka_memory.TICKS),
    "changes": lambda args: kafka_changes.report(args.seed, args.ticks or kafka_changes.TICKS),
}


def main() -> None:
    """Read what to run, run it, print it."""
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("reports", nargs="*", metavar="NAME", help=f"{', '.join(REPORTS)}; default: all")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--ticks",
        type=int,
        help=f"of core and kafka (default {TICKS:,}), of memory (ten times that), of changes as well",
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="of core's slow peers (its quick ones get 2 n + 1), of kafka"
    )
    parser.add_argument("--minutes", type=int, default=kafka_latency.MINUTES, help="of latency, in each guarantee")
    parser.add_argument(
        "--trouble",
        action="append",
        choices=TROUBLES,
        help="of redis-trouble, may be repeated; default: all",
    )
    parser.add_argument(
        "--minute-seconds",
        type=float,
        default=redis_trouble.MINUTE_S,
        help="of redis-trouble: how long Redis stands still at a steady rate; 0: leave that out",
    )
    args = parser.parse_args()
    unknown = set(args.reports) - REPORTS.keys()
    if unknown:
        parser.error(f"no report named {', '.join(sorted(unknown))}; there are {', '.join(REPORTS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that brokers and workers end with us
    failed = False
    for name in args.reports or REPORTS:
        try:
            lines = REPORTS[name](args)
        except RunError as why:  # the others are still worth running
            lines, failed = [f"{name}: failed: {why}"], True
        print("\n".join(lines), flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
