"""Both throttles over a batch of ticks, counted by ticker and bucket rule. What is counted is told in `shadow_rule`.

A *slot* is one ticker under one rule. Strategies with the same rule that watch the same ticker share it, so what a tick
costs hangs on how many rules there are and not on how many strategies.

A *span* is a stretch of stream time in which no rule begins a bucket. In it, a ticker's ticks behind the first one
are duplicates under every rule, and most ticks end there: at two comparisons. A tick from before the span is held
against what is remembered: the newest buckets in which its ticker had an update, and those that stream time was in.

The tables are told of in `shadow_tables`.
"""

from streams.core.columns import Int32s, Int64s, RuleColumns, Ticks
from streams.core.jit import compiled
from streams.core.kernel import CLOCK
from streams.core.limits import FOREVER, NEVER
from streams.core.shadow_tables import (
    BEEN,
    BOTH,
    BUCKET_MS,
    END_MS,
    FIRST,
    FLOOR_MS,
    FOLLOWING,
    LATE,
    LOOKED_AT,
    NO_BUCKET,
    NO_SLOT,
    NOWHERE,
    OLD_RUNS,
    OLD_TICKERS,
    ONLY_NEW,
    ONLY_OLD,
    OPENED,
    OPENED_BY,
    OPENED_IN,
    OUTCOMES,
    PAIRS,
    RULE,
    RUNS,
    SLOT_FLOOR,
    SLOT_RULE,
    SLOT_TICKER,
    SPAN,
    SPAN_END,
    SPAN_START,
    START_MS,
    STRATEGIES,
    STREAM_MS,
    TAKEN,
    UNJUDGED_LATE,
    UNJUDGED_RUN,
    UPDATED,
    WATCHERS,
    State,
)


# The walk along a rule's segments stands in `kernel.locate` too: compiled code never crosses files, see `jit.py`.
@compiled
def interval(rules: RuleColumns, rule: int, now_ms: int) -> tuple[int, int, int]:
    """The interval that holds a time, from, until, and its bucket; NEVER where it has none."""
    low, high = rules.segment_from[rule], rules.segment_to[rule]
    last = high
    if now_ms < rules.segment_starts[low]:
        return NEVER, rules.segment_starts[low], NEVER
    if now_ms >= rules.until_ms[rule]:
        return rules.until_ms[rule], FOREVER, NEVER
    while high - low > 1:
        middle = (low + high) >> 1
        if rules.segment_starts[middle] <= now_ms:
            low = middle
        else:
            high = middle
    start, end, step = rules.segment_starts[low], rules.segment_ends[low], rules.step_ms[rule]
    until = rules.until_ms[rule] if low + 1 == last else rules.segment_starts[low + 1]
    if step > 0:
        start += (min(now_ms, end - 1) - start) // step * step
        if start + step < end:
            until = start + step
    return start, until, start


@compiled
def push(table: Int64s, line: int, first: int, bucket_ms: int) -> int:
    """Put a bucket among the newest, which stand in a line from `first` on; returns the one that drops out."""
    at = table.shape[1] - 1
    dropped = table[line, at]
    if bucket_ms <= dropped:
        return bucket_ms
    while at > first and table[line, at - 1] < bucket_ms:
        table[line, at] = table[line, at - 1]
        at -= 1
    table[line, at] = bucket_ms
    return int(dropped)


@compiled
def holds(table: Int64s, line: int, first: int, bucket_ms: int) -> bool:
    """Whether a bucket is among the newest."""
    for at in range(first, table.shape[1]):
        if table[line, at] <= bucket_ms:
            return bool(table[line, at] == bucket_ms)
    return False


@compiled
def begin_span(wholes: Int64s, scalars: Int64s) -> None:
    """A rule begins a bucket, or has come."""
    span_start, span_end, nowhere = NEVER, FOREVER, 0
    for r in range(len(wholes)):
        span_start, span_end = max(span_start, wholes[r, START_MS]), min(span_end, wholes[r, END_MS])
        nowhere += wholes[r, BUCKET_MS] == NEVER
    scalars[SPAN] += 1
    scalars[SPAN_START], scalars[SPAN_END], scalars[NOWHERE] = span_start, span_end, nowhere


@compiled
def enter(rules: RuleColumns, wholes: Int64s, r: int, scalars: Int64s) -> int:
    """Stream time is in another interval of a rule; returns its bucket."""
    start, end, bucket_ms = interval(rules, wholes[r, RULE], scalars[STREAM_MS])
    wholes[r, START_MS], wholes[r, END_MS], wholes[r, BUCKET_MS] = start, end, bucket_ms
    wholes[r, OPENED_IN] = scalars[SPAN] + 1
    return bucket_ms


@compiled
def open_buckets(rules: RuleColumns, state: State) -> None:
    """Stream time has come to where a rule begins a bucket: strategies run as a whole."""
    wholes, scalars, totals = state.wholes, state.scalars, state.totals
    for r in range(len(wholes)):
        if wholes[r, START_MS] <= scalars[STREAM_MS] < wholes[r, END_MS]:
            continue
        bucket_ms = enter(rules, wholes, r, scalars)
        if bucket_ms > wholes[r, BEEN]:
            wholes[r, OPENED_BY] = scalars[TAKEN]
            wholes[r, FLOOR_MS] = max(wholes[r, FLOOR_MS], push(wholes, r, BEEN, bucket_ms))
            wholes[r, RUNS] += 1
            totals[OLD_RUNS] += wholes[r, STRATEGIES]
            totals[OLD_TICKERS] += wholes[r, PAIRS]
    begin_span(wholes, scalars)


@compiled
def begin_rule(rules: RuleColumns, state: State, r: int) -> None:
    """A rule is met: the bucket that stream time is in has had its run."""
    wholes = state.wholes
    wholes[r, FLOOR_MS] = wholes[r, BEEN] = enter(rules, wholes, r, state.scalars)
    begin_span(wholes, state.scalars)


@compiled
def remember(slots: Int64s, slot: int, bucket_ms: int) -> None:
    """The ticker has had an update in a bucket."""
    slots[slot, SLOT_FLOOR] = max(slots[slot, SLOT_FLOOR], push(slots, slot, UPDATED, bucket_ms))


@compiled
def outcome_of(slots: Int64s, slot: int, wholes: Int64s, r: int, bucket_ms: int) -> int:
    """What an update is to both throttles, if it is no duplicate: `shadow_rule.judge`, over what is remembered."""
    if bucket_ms == NEVER:
        return NO_BUCKET
    old_ran, old_is_known = holds(wholes, r, BEEN, bucket_ms), bucket_ms > wholes[r, FLOOR_MS]
    if bucket_ms > slots[slot, UPDATED]:
        remember(slots, slot, bucket_ms)
        return BOTH if old_ran else ONLY_NEW if old_is_known else UNJUDGED_RUN
    if holds(slots, slot, UPDATED, bucket_ms):
        return LATE
    if bucket_ms <= slots[slot, SLOT_FLOOR]:
        return UNJUDGED_LATE
    remember(slots, slot, bucket_ms)
    return ONLY_OLD if old_ran else LATE if old_is_known else UNJUDGED_LATE


@compiled
def look_back(rules: RuleColumns, state: State, t: int, now_ms: int) -> None:
    """Hold a tick against every slot of its ticker: one from before the span, or while a rule has no bucket."""
    met, links, slots, wholes, totals, scalars = state
    slot = met[t, FIRST]
    while slot >= 0:
        r, watchers = links[slot, SLOT_RULE], slots[slot, WATCHERS]
        bucket_ms = interval(rules, wholes[r, RULE], now_ms)[2]
        if bucket_ms != slots[slot, UPDATED] or bucket_ms == NEVER:
            outcome = outcome_of(slots, slot, wholes, r, bucket_ms)
            slots[slot, outcome] += 1
            totals[outcome] += watchers
            if outcome in (ONLY_OLD, UNJUDGED_LATE):
                slots[slot, LATE] += 1
                totals[LATE] += watchers
        if wholes[r, OPENED_BY] == scalars[TAKEN]:
            slots[slot, OPENED] += 1
            totals[OPENED] += watchers
        slot = links[slot, FOLLOWING]


@compiled
def take(rules: RuleColumns, ticks: Ticks, state: State) -> None:
    """Hold each tick of a batch against both throttles, in order. What is within the span is not left to a call."""
    met, links, slots, wholes, totals, scalars = state
    before, stream_ms = scalars[TAKEN], scalars[STREAM_MS]
    span, span_start, span_end = scalars[SPAN], scalars[SPAN_START], scalars[SPAN_END]
    for i in range(len(ticks.ticker)):
        t, now_ms = ticks.ticker[i], ticks.ts_ms[i]
        if t != CLOCK and (t < 0 or not ticks.moves_price[i]):
            continue
        if now_ms > stream_ms:
            stream_ms = now_ms
            if stream_ms >= span_end:
                scalars[TAKEN], scalars[STREAM_MS] = before + i + 1, stream_ms
                open_buckets(rules, state)
                span, span_start, span_end = scalars[SPAN], scalars[SPAN_START], scalars[SPAN_END]
        if t == CLOCK:
            continue
        if now_ms < span_start or scalars[NOWHERE]:
            scalars[TAKEN] = before + i + 1
            look_back(rules, state, t, now_ms)
            continue
        looked_at = met[t, LOOKED_AT]
        if looked_at == span:
            continue
        met[t, LOOKED_AT] = span
        slot = met[t, FIRST]
        while slot >= 0:
            at, r, slot = slot, links[slot, SLOT_RULE], links[slot, FOLLOWING]
            if wholes[r, OPENED_IN] <= looked_at:
                continue  # the ticker was looked at in this bucket
            bucket_ms = wholes[r, BUCKET_MS]
            if bucket_ms > slots[at, UPDATED]:
                remember(slots, at, bucket_ms)
                slots[at, BOTH] += 1
                totals[BOTH] += slots[at, WATCHERS]
            if wholes[r, OPENED_BY] == before + i + 1:
                slots[at, OPENED] += 1
                totals[OPENED] += slots[at, WATCHERS]
    scalars[TAKEN], scalars[STREAM_MS] = before + len(ticks.ticker), stream_ms


@compiled
def find(state: State, t: int, rule: int) -> int:
    """The slot of a ticker under a rule, or NO_SLOT."""
    slot = state.met[t, FIRST]
    while slot >= 0 and state.links[slot, SLOT_RULE] != rule:
        slot = state.links[slot, FOLLOWING]
    return int(slot)


@compiled
def add(rules: RuleColumns, state: State, universe: Int32s, rule: int, used: int, last_update: Int64s) -> int:
    """Make the slots that are missing, in the room behind those used; returns how many are used then."""
    met, links, slots = state.met, state.links, state.slots
    for t in universe:
        if find(state, t, rule) != NO_SLOT:
            continue
        links[used, SLOT_RULE], links[used, SLOT_TICKER], links[used, FOLLOWING] = rule, t, met[t, FIRST]
        slots[used, SLOT_FLOOR] = state.wholes[rule, BUCKET_MS]
        if last_update[t] != NEVER:
            slots[used, UPDATED] = interval(rules, state.wholes[rule, RULE], last_update[t])[2]
        met[t, FIRST] = used
        used += 1
    return used


@compiled
def watch(state: State, universe: Int32s, rule: int, one: int) -> None:
    """A strategy comes to the slots of these tickers (1), or goes (-1)."""
    for t in universe:
        state.slots[find(state, t, rule), WATCHERS] += one


@compiled
def add_up(state: State, universe: Int32s, rule: int, into: Int64s) -> None:
    """What the slots of these tickers have counted."""
    for t in universe:
        slot = find(state, t, rule)
        for outcome in range(OUTCOMES):
            into[outcome] += state.slots[slot, outcome]
