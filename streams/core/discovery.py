"""Discovery: what a reported universe makes of a strategy.

A worker reports all tickers that a strategy looked at. Where they differ from the universe that stands, they become it,
under the next version. The order of reports is that of their log; the only clock is their event time.

- **Who may overwrite.** A report of a version counts as long as nobody but discovery has changed the universe since:
  edits of other fields leave it in force, an edit of the universe does not. `Origin` says from which version on.
- **A strategy that watches every ticker is left as it is.** Somebody has said "all"; narrowed to what was looked at
  until now, it would never see a ticker that is listed tomorrow.
- **A ticker that no tick was ever seen of** is taken: it may trade for the first time tomorrow, and costs a pair.
- **Rate.** The first difference is a change at once. Then one in each interval at most; what is reported meanwhile is
  held, the latest is kept, and it counts with the first result, of any strategy, that is late enough.
- **To and fro.** A report that brings back what discovery took out a moment ago shows a worker that flaps, or two that
  differ. From then on tickers are only added, until reports are the same for long enough: a ticker too many is an
  alert that is dismissed, one too few is an alert that is never seen. So a flapping worker causes a change for each set
  that is new, and then none. A new owner of a discovered universe knows nothing of what went before, and begins so.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, NamedTuple

from streams.core.events import Status, Strategy
from streams.core.lifecycle import MAX_VERSION, problems
from streams.core.limits import (
    CALM_INTERVALS,
    CALM_REPORTS,
    MAX_BACK_MS,
    MAX_TS_MS,
    MAX_UNIVERSE,
    MAX_UNIVERSE_BYTES,
    MIN_TS_MS,
)


class Report(NamedTuple):
    """All tickers that a strategy looked at."""

    version: int
    """The version that ran."""
    ts_ms: int
    symbols: frozenset[str]


class Origin(NamedTuple):
    """Where the universe that stands comes from."""

    since: int
    """Reports of older versions do not overwrite it."""
    discovered_ms: int | None = None
    """When it was discovered, in event time; None where somebody has written it."""


class Standing(NamedTuple):
    """What stands of a strategy."""

    strategy: Strategy
    origin: Origin


@dataclass(frozen=True, slots=True)
class History:
    """What is remembered of a strategy's reports."""

    symbols: frozenset[str] | None = None
    """The last that was reported."""
    since_ms: int = 0
    """Since when it has been the same."""
    reports: int = 0
    """How often it has been the same in a row."""
    dropped: frozenset[str] = frozenset()
    """What discovery took out of the universe, and no calm has come since."""
    damped: bool = False
    """Whether tickers are only added."""
    held: Report | None = None
    """The universe that waits until it is due."""

    @property
    def weight(self) -> int:
        """About how much it holds, in tickers."""
        held = len(self.held.symbols) if self.held else 0
        return 1 + len(self.symbols or ()) + len(self.dropped) + held


NO_HISTORY: Final = History()


class Outcome(StrEnum):
    """What becomes of a report."""

    CHANGED = "changed"
    SAME = "same"
    HELD = "held"
    STALE = "stale"
    """Of a version before the universe that stands."""
    EMPTY = "empty"
    """It reports no tickers."""
    WHOLE = "whole"
    """The strategy watches every ticker."""
    REFUSED = "refused"


class Refusal(NamedTuple):
    """Why a report cannot be used."""

    word: str
    detail: str
    remedy: str


class Answer(NamedTuple):
    """What becomes of a report, and what is remembered of it."""

    outcome: Outcome
    history: History
    change: Strategy | None = None
    refusal: Refusal | None = None
    damped_now: bool = False
    """Whether this report has shown that it goes to and fro."""


def origin_after(before: Standing | None, change: Strategy, discovered_ms: int | None) -> Origin:
    """Where the universe comes from, once a change counts. `discovered_ms`: its time, where discovery has made it.

    Of a discovered universe whose history is compacted away, any version may be the one that stands behind it.
    """
    alive = before is not None and before.strategy.status is not Status.DELETED
    if discovered_ms is not None:
        return Origin(before.origin.since if before is not None and alive else 1, discovered_ms)
    if before is not None and alive and before.strategy.universe == change.universe:
        return before.origin
    return Origin(change.version)


def decide(standing: Standing | None, report: Report, history: History | None, interval_ms: int) -> Answer:
    """What becomes of a report. `history` is None where this owner has not seen a report of the strategy."""
    known = known_history(standing, history)
    refusal = refusal_of(standing, report)
    if refusal is not None:
        return Answer(Outcome.REFUSED, known, refusal=refusal)
    if standing is None or not report.symbols:
        return Answer(Outcome.EMPTY, known)
    if not standing.strategy.universe:
        return Answer(Outcome.WHOLE, known)
    if report.version < standing.origin.since:
        return Answer(Outcome.STALE, known)
    noted = note(known, report, CALM_INTERVALS * interval_ms)
    answer = _apply(standing, report, noted, report.ts_ms, interval_ms)
    return answer._replace(damped_now=noted.damped and not known.damped)


def release(standing: Standing | None, history: History, now_ms: int, interval_ms: int) -> Answer:
    """What becomes of the report that is held, now that a result of this time has come."""
    held = history.held
    assert held is not None, "only what is held can be released"
    let_go = replace(history, held=None)
    if standing is None or not standing.strategy.universe or standing.strategy.status is Status.DELETED:
        return Answer(Outcome.STALE, let_go)
    if held.version < standing.origin.since:
        return Answer(Outcome.STALE, let_go)
    return _apply(standing, held, let_go, now_ms, interval_ms)


def due_ms(standing: Standing, interval_ms: int) -> int:
    """From which event time on its universe may be changed again."""
    discovered_ms = standing.origin.discovered_ms
    return MIN_TS_MS if discovered_ms is None else discovered_ms + interval_ms


def known_history(standing: Standing | None, history: History | None) -> History:
    """What to go by: nothing, where somebody has written the universe since; and caution, where nothing is known."""
    if standing is None or standing.origin.discovered_ms is None:
        return NO_HISTORY
    return History(damped=True) if history is None else history


def refusal_of(standing: Standing | None, report: Report) -> Refusal | None:
    """Why a report cannot be used, if it cannot."""
    if standing is None:
        remedy = "send the strategy_id of the execution; nothing, if it has been deleted since"
        return Refusal("unknown_strategy", "there is no such strategy", remedy)
    newest = standing.strategy.version
    if not 1 <= report.version <= newest:
        detail = f"it names version {report.version}, and {newest} is the newest"
        return Refusal("unknown_version", detail, "send the strategy_version of the execution")
    if not MIN_TS_MS <= report.ts_ms < MAX_TS_MS:
        detail = f"its time {report.ts_ms} lies before 1970 or after 2099"
        return Refusal("ts_out_of_range", detail, "send the ts of the execution, in ms")
    return _refusal_of_symbols(standing.strategy, report.symbols) if report.symbols else None


def _refusal_of_symbols(strategy: Strategy, symbols: frozenset[str]) -> Refusal | None:
    """Why they cannot become the universe, if they cannot."""
    if strategy.status is Status.DELETED:
        return Refusal("deleted_strategy", "the strategy has been deleted", "nothing, if it ran before that")
    if strategy.version == MAX_VERSION:
        return Refusal("no_version_left", "it stands under the highest version there is", "take a new strategy_id")
    if len(symbols) <= MAX_UNIVERSE:
        wrong = problems(Strategy("-", "1m", symbols))
        if wrong:
            return Refusal("bad_symbol", f"used_symbols: {wrong[0]}", "report tickers as the feed spells them")
    if not fits(symbols):
        detail = f"used_symbols has {len(symbols)} tickers; {MAX_UNIVERSE} of {MAX_UNIVERSE_BYTES} bytes are the limit"
        return Refusal("too_many_symbols", detail, "report fewer, or let the strategy watch all")
    return None


def note(history: History, report: Report, calm_ms: int) -> History:
    """Remember a report, and tell from those before whether it goes to and fro."""
    if report.symbols != history.symbols:
        noted = replace(history, symbols=report.symbols, since_ms=report.ts_ms, reports=1)
    else:
        noted = replace(history, reports=history.reports + 1)
    if noted.reports >= CALM_REPORTS and report.ts_ms - noted.since_ms >= calm_ms:
        return replace(noted, damped=False, dropped=frozenset())
    if not noted.dropped.isdisjoint(report.symbols):
        return replace(noted, damped=True)
    return noted


def _apply(standing: Standing, report: Report, history: History, now_ms: int, interval_ms: int) -> Answer:
    """Let what is reported become the universe, or wait."""
    strategy = standing.strategy
    wanted = _wanted(strategy, report, history)
    if wanted == strategy.universe:
        return Answer(Outcome.SAME, replace(history, held=None))
    if is_too_early(standing, now_ms, interval_ms):
        return Answer(Outcome.HELD, replace(history, held=report._replace(symbols=wanted)))
    dropped = strategy.universe - wanted
    if len(dropped | history.dropped) <= MAX_UNIVERSE:
        dropped |= history.dropped
    change = replace(strategy, universe=wanted, version=strategy.version + 1)
    return Answer(Outcome.CHANGED, replace(history, held=None, dropped=dropped - wanted), change)


def _wanted(strategy: Strategy, report: Report, history: History) -> frozenset[str]:
    """The universe that a report asks for."""
    if not history.damped:
        return report.symbols
    waiting = history.held.symbols if history.held is not None else frozenset[str]()
    together = strategy.universe | waiting | report.symbols
    return together if fits(together) else report.symbols


def fits(universe: frozenset[str]) -> bool:
    """Whether it can be a universe, and a record of it can be written."""
    return len(universe) <= MAX_UNIVERSE and sum(len(each.encode()) + 2 for each in universe) <= MAX_UNIVERSE_BYTES


def is_too_early(standing: Standing, now_ms: int, interval_ms: int) -> bool:
    """Whether its universe was discovered a moment ago.

    A time far before that says that one of the two is wrong: a single result with a time that is still to come must
    not shut out all others until then.
    """
    discovered_ms = standing.origin.discovered_ms
    return discovered_ms is not None and discovered_ms - MAX_BACK_MS <= now_ms < discovered_ms + interval_ms
