"""Results by a seed, as workers and traders send them: repeated, late, unknown, and some that are none."""

from random import Random
from typing import Any

STRATEGIES = tuple(f"s{number}" for number in range(6))
TICKERS = "ABCDEFGH"
START_MS = 1_760_000_000_000
PROFITS = (-2.0, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 3.0)
"""Sums of these are exact, in any order."""


class Made:
    """Makes one result after the other."""

    def __init__(self, seed: int) -> None:
        self._pick, self._count = Random(seed), 0
        self._sent: list[dict[str, Any]] = []

    def next(self, is_proposed: Any = lambda _: True) -> dict[str, Any]:
        """A result; fills are of triggers that were sent, and of which somebody says that they were proposed."""
        pick = self._pick
        kind = pick.choices(("triggers", "fill", "again", "unknown", "bad", "failed"), (50, 35, 8, 3, 2, 2))[0]
        if kind == "again" and self._sent:
            return pick.choice(self._sent)
        if kind == "fill" and self._sent:
            made = self._fill(pick.choice(self._sent[-60:]), is_proposed)
        else:
            made = self._triggers(kind)
        self._sent.append(made)
        return made

    def _triggers(self, kind: str) -> dict[str, Any]:
        pick, number = self._pick, self._count
        self._count += 1
        made = result(f"e{number}", pick.choice(STRATEGIES), START_MS + number)
        for ticker in pick.sample(TICKERS, pick.randint(0, 4)):
            made["triggers"].append(trigger(ticker, round(pick.uniform(0.15, 0.6), 3)))
        if kind == "bad":
            made["triggers"].append(trigger(pick.choice(("", "A")), 1.5))
        if kind == "unknown":
            made["fills"].append(fill("f-unknown", made["execution_id"], "Z", 1.0))
        return {**made, "status": "failed" if kind == "failed" else "ok"}

    def _fill(self, of: dict[str, Any], is_proposed: Any) -> dict[str, Any]:
        pick, execution_id = self._pick, of["execution_id"]
        known = [each["ticker"] for each in of["triggers"] if is_proposed(f"{execution_id}/{each['ticker']}")]
        made = result(execution_id, of["strategy_id"], of["ts"] + pick.randint(-5, 50))
        if known:
            profit = pick.choice((None, *PROFITS))
            made["fills"].append(fill(f"f{pick.randint(0, 10_000)}", execution_id, pick.choice(known), profit))
        return made


def result(execution_id: str, strategy_id: str, ts_ms: int) -> dict[str, Any]:
    """A result of nothing, as its schema has it."""
    told = {"execution_id": execution_id, "strategy_id": strategy_id, "strategy_version": 1, "bucket_ms": 0}
    return {**told, "ts": ts_ms, "status": "ok", "triggers": [], "fills": []}


def trigger(ticker: str, conviction: float) -> dict[str, Any]:
    """A trigger."""
    return {"ticker": ticker, "conviction": conviction, "side": "buy", "price": None, "reason": ""}


def fill(fill_id: str, execution_id: str, ticker: str, profit: float | None) -> dict[str, Any]:
    """A fill; with a profit it closed a position."""
    told = {"fill_id": fill_id, "proposal_id": f"{execution_id}/{ticker}", "ticker": ticker, "ts": START_MS}
    return {**told, "side": "buy", "price": 1.0, "quantity": 2.0, "profit": profit}
