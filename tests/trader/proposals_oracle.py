"""What must have come of results, worked out anew from `alert-results` and `conviction` alone, one result at a time.

Nothing here is shared with what makes proposals. `problems` says all that deviates.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Result = Mapping[str, Any]
Results = Mapping[int, Sequence[tuple[int, Result | None]]]
"""By partition, offset and decoded result in their order; None for what is no result."""

MOST_AT_A_LOOK = 1e-6


class Closing(NamedTuple):
    """A fill that closed a position."""

    partition: int
    offset: int
    profit: float


class Told(NamedTuple):
    """What should stand on the topics."""

    proposals: list[dict[str, Any]]
    closings: list[Closing]
    refused: set[tuple[int, int, str]]
    """Partition, offset and the word for why."""


def change_at(changes: Sequence[Mapping[str, Any]], partition: int, offset: int) -> Mapping[str, Any]:
    """The last change that holds for a result."""
    return [each for each in changes if start_of(each, partition) <= offset][-1]


def start_of(change: Mapping[str, Any], partition: int) -> int:
    """From where on a change holds in a partition."""
    positions: dict[int, int] = {each["partition"]: each["next_offset"] for each in change["positions"]}
    return positions.get(partition, 0)


def expected(results: Results, changes: Sequence[Mapping[str, Any]]) -> Told:
    """Judge every trigger once, by the change that holds for its result."""
    told = Told([], [], set())
    for partition, listed in results.items():
        proposed: dict[tuple[str, str], bool] = {}
        filled: set[tuple[str, str]] = set()
        for offset, result in listed:
            if result is not None:
                threshold = change_at(changes, partition, offset)["after"]
                words = _judge(result, threshold, proposed, told) | _count(
                    result, Closing(partition, offset, 0), proposed, filled, told
                )
                told.refused.update((partition, offset, word) for word in words)
    return told


def _judge(result: Result, threshold: float, proposed: dict[tuple[str, str], bool], told: Told) -> set[str]:
    """Add what is proposed; returns the words for what cannot be used."""
    if result["triggers"] and result["status"] != "ok":
        return {"not_ok"}
    told.proposals.extend({**each, "min_conviction": threshold} for each in _judged(result, threshold, proposed))
    return {"bad_trigger"} if any(not _is_sound(each) for each in result["triggers"]) else set()


def _count(
    result: Result, at: Closing, proposed: Mapping[tuple[str, str], bool], filled: set[tuple[str, str]], told: Told
) -> set[str]:
    """Add what was closed; as above."""
    words = set()
    for fill in result["fills"]:
        name, of = (result["execution_id"], fill["fill_id"]), (result["execution_id"], fill["ticker"])
        if name in filled:
            continue
        if not proposed.get(of) or fill["proposal_id"] != "/".join(of):
            words.add("unknown_proposal")
            continue
        filled.add(name)
        if fill["profit"] is not None:
            told.closings.append(at._replace(profit=fill["profit"]))
    return words


def _is_sound(trigger: Mapping[str, Any]) -> bool:
    return bool(trigger["ticker"]) and not math.isnan(trigger["conviction"]) and 0 <= trigger["conviction"] <= 1


def _judged(result: Result, threshold: float, proposed: dict[tuple[str, str], bool]) -> Iterator[dict[str, Any]]:
    """Proposals of one result; what was judged is noted."""
    best: dict[str, Mapping[str, Any]] = {}
    for trigger in filter(_is_sound, result["triggers"]):
        ticker = trigger["ticker"]
        is_better = ticker not in best or best[ticker]["conviction"] < trigger["conviction"]
        if is_better and (result["execution_id"], ticker) not in proposed:
            best[ticker] = trigger
    for ticker, trigger in best.items():
        enough = trigger["conviction"] >= threshold
        proposed[result["execution_id"], ticker] = enough
        if enough:
            own = ("execution_id", "strategy_id", "strategy_version", "bucket_ms", "ts")
            yield {
                "proposal_id": f"{result['execution_id']}/{ticker}",
                **{name: result[name] for name in own},
                **{name: trigger[name] for name in ("ticker", "conviction", "side", "price", "reason")},
            }


def problems(
    results: Results, changes: Sequence[Mapping[str, Any]], proposals: Sequence[Mapping[str, Any]]
) -> list[str]:
    """All that deviates: proposals that are missing, too many, twice, or other ones; changes that do not follow."""
    told = expected(results, changes)
    by_id = {each["proposal_id"]: each for each in told.proposals}
    found = [f"{each['proposal_id']} stands there {twice} times" for each, twice in _repeated(proposals)]
    found += [f"{name} is missing" for name in by_id.keys() - {each["proposal_id"] for each in proposals}]
    for each in proposals:
        wanted = by_id.get(each["proposal_id"])
        if wanted != each:
            found.append(f"{dict(each)} stands there, where {wanted} should")
    for strategy_id in {each["strategy_id"] for each in proposals}:
        ids = [each["proposal_id"] for each in proposals if each["strategy_id"] == strategy_id]
        if ids != [each["proposal_id"] for each in told.proposals if each["strategy_id"] == strategy_id]:
            found.append(f"proposals of {strategy_id} are in another order than the results: {ids}")
    return [*found, *_wrong_changes(changes, told.closings)]


def _repeated(proposals: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], int]]:
    names = [each["proposal_id"] for each in proposals]
    for each in proposals:
        if names.count(each["proposal_id"]) > 1:
            yield each, names.count(each["proposal_id"])


def _wrong_changes(changes: Sequence[Mapping[str, Any]], closings: Sequence[Closing]) -> Iterator[str]:
    """Each change follows from the one before and the trades in between; and no look was left out."""
    anew: Mapping[str, Any] | None = None
    before: Mapping[str, Any] | None = None
    for number, change in enumerate(changes, 1):
        since = [each for each in closings if _is_between(each, anew, change)]
        yield from _wrong_change(number, change, before, since)
        if before is None or change["kind"] == "adjusted" or _is_another(change, before):
            anew = change
        before = change
    assert before is not None, "the first policy is a change"
    assert anew is not None, "as above"
    left = [each for each in closings if each.offset >= start_of(anew, each.partition)]
    if before["adjusts"] and len(left) >= before["trades"]:
        yield f"{len(left)} trades were closed behind the last change, and nobody looked"


def _is_between(closing: Closing, before: Mapping[str, Any] | None, change: Mapping[str, Any]) -> bool:
    earliest = 0 if before is None else start_of(before, closing.partition)
    return earliest <= closing.offset < start_of(change, closing.partition)


def _is_another(change: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether a policy sets the threshold: then trades are counted anew."""
    return bool(change["min_conviction"] != before["min_conviction"] or change["after"] != change["before"])


def _wrong_change(
    number: int, change: Mapping[str, Any], before: Mapping[str, Any] | None, since: Sequence[Closing]
) -> Iterator[str]:
    wins, losses = (sum(each.profit > 0 for each in since), sum(each.profit < 0 for each in since))
    counted = (wins, losses, len(since) - wins - losses, sum(each.profit for each in since))
    if (change["wins"], change["losses"], change["even"], change["profit"]) != counted:
        yield f"change {number} counted otherwise than {counted}: {change}"
    if change["number"] != number or (before is not None and change["before"] != before["after"]):
        yield f"change {number} does not follow the one before: {change}"
    wanted = change["min_conviction"]
    if change["kind"] == "adjusted":
        assert before is not None, "a policy comes first"
        if len(since) != before["trades"]:
            yield f"change {number} looked at {len(since)} trades, in place of {before['trades']}"
        share = wins / (wins + losses) if wins + losses else 0.5
        step = change["step"] * ((share < 0.4) - (share > 0.6 and counted[3] > 0))
        wanted = min(max(change["before"] + step, change["least"]), change["most"])
    if abs(change["after"] - wanted) > MOST_AT_A_LOOK:
        yield f"change {number} came to {change['after']}, in place of {wanted}"
    if not change["reason"]:
        yield f"change {number} has no reason"
