"""`python -m bench [core] [state] [start]`: everything, or what is named. Figures beside each other are of one run."""

import argparse
from collections.abc import Callable

from bench import core, start, state

REPORTS: dict[str, Callable[[argparse.Namespace], list[str]]] = {
    "core": lambda args: core.report(args.seed, args.ticks, args.rounds),
    "state": lambda args: state.report(args.seed),
    "start": lambda args: start.report(args.seed, args.rounds),
}


def main() -> None:
    """Read what to run, run it, print it."""
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("reports", nargs="*", metavar="|".join(REPORTS), help="default: all")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--ticks", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="of the slow peers; the quick ones get 2 n + 1")
    args = parser.parse_args()
    unknown = set(args.reports) - REPORTS.keys()
    if unknown:
        parser.error(f"no report named {', '.join(sorted(unknown))}; there are {', '.join(REPORTS)}")
    for name in args.reports or REPORTS:
        print("\n".join(REPORTS[name](args)), flush=True)


if __name__ == "__main__":
    main()
