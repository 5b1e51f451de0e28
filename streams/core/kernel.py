"""The throttle, fast: one step over a batch of ticks in columns. The rules themselves are told in `oracle`.

A step has two halves. `observe` takes each tick once: its time goes into the ticker's last update, the
ticker is flagged, and a tick that some pair may be due for is chained to its ticker. Most ticks end there,
at one comparison. `decide` then looks at the rows of the flagged tickers only, tick by tick in order.
Tickers don't touch each other's state, so the order among them is free, and the fires are put back into
the order of the ticks afterwards.

The flags say which rows are looked at, never what fires: the chains hold every tick that matters. Where
the flags, the times beside them or the counter don't agree with what `observe` counted apart from them,
or where tracking is off, the step goes through every row instead: slower, same answer.

A step stops where a buffer for fires is full, and goes on there when it is called again.
"""

from typing import Final

import numpy as np

from streams.core.columns import Batch, Columns, Counters, FireColumns, Int32s, RuleColumns, Scalars, TickerColumns
from streams.core.jit import also_letting_go, compiled
from streams.core.limits import FOREVER, NEVER

CLOCK: Final = -2
"""Stands for a ticker where the record only moves stream time on."""

NO_TICK: Final = -3
"""Stands for a ticker where the record is no tick at all: it has been refused, with its reason, before."""

OBSERVE: Final = 0
LOOK_AT_FLAGGED: Final = 1
LOOK_AT_ALL: Final = 2
DONE: Final = 3
"""What a step does next: handed in to go on, returned to say where it stopped."""

TICKS, IRRELEVANT, UPDATES = Counters.TICKS, Counters.IRRELEVANT, Counters.UPDATES
FIRED, BUCKET_DUP, LATE, NO_BUCKET = Counters.FIRED, Counters.BUCKET_DUP, Counters.LATE, Counters.NO_BUCKET
TRIGGERED, CLOCKS, LOOKS, CORRUPTIONS = Counters.TRIGGERED, Counters.CLOCKS, Counters.LOOKS, Counters.CORRUPTIONS
CHECKS, PROCESSED, SKIPPED = Counters.CHECKS, Counters.PROCESSED, Counters.SKIPPED
STREAM_MS, LEVEL_DUE, USED_TICKERS = Scalars.STREAM_MS, Scalars.LEVEL_DUE, Scalars.USED_TICKERS
TOUCHED, TOUCHED_MIX, RESUME_AT = Scalars.TOUCHED, Scalars.TOUCHED_MIX, Scalars.RESUME_AT
PAIR_FIRES, LEVEL_FIRES = Scalars.PAIR_FIRES, Scalars.LEVEL_FIRES

MIX: Final = 0x5851F42D4C957F2D
"""Any large odd number: the sum of the mixed tickers tells a set of flags from another of the same size."""


@compiled
def locate(rules: RuleColumns, rule: int, now_ms: int) -> None:
    """Make the rule's remembered interval the one that holds `now_ms`."""
    low, high = rules.segment_from[rule], rules.segment_to[rule]
    if now_ms < rules.segment_starts[low]:
        rules.now_from[rule], rules.now_until[rule] = NEVER, rules.segment_starts[low]
        rules.now_bucket[rule] = NEVER
        return
    if now_ms >= rules.until_ms[rule]:
        rules.now_from[rule], rules.now_until[rule] = rules.until_ms[rule], FOREVER
        rules.now_bucket[rule] = NEVER
        return
    last = high
    while high - low > 1:
        middle = (low + high) >> 1
        if rules.segment_starts[middle] <= now_ms:
            low = middle
        else:
            high = middle
    start, end = rules.segment_starts[low], rules.segment_ends[low]
    until = rules.until_ms[rule] if low + 1 == last else rules.segment_starts[low + 1]
    step = rules.step_ms[rule]
    if step > 0:
        start += (min(now_ms, end - 1) - start) // step * step
        if start + step < end:
            until = start + step
    rules.now_from[rule], rules.now_until[rule], rules.now_bucket[rule] = start, until, start


@compiled
def trigger(columns: Columns, now_ms: int, tick: int, fires: FireColumns, at: int) -> tuple[int, int]:
    """Fire the strategies throttled as a whole that are due at this stream time; returns (fires, next due)."""
    rules, strategies = columns.rules, columns.strategies
    due = FOREVER
    for s in strategies.level:
        rule = strategies.rule[s]
        if now_ms < rules.now_from[rule] or now_ms >= rules.now_until[rule]:
            locate(rules, rule, now_ms)
        bucket = rules.now_bucket[rule]
        if bucket != NEVER and bucket > strategies.last_trigger[s]:
            strategies.last_trigger[s] = bucket
            strategies.whole_fired[s] += 1
            fires.tick[at], fires.strategy[at] = tick, s
            fires.bucket_ms[at], fires.ts_ms[at] = bucket, now_ms
            at += 1
        due = min(due, rules.now_until[rule])
    return at, due


@compiled
def level_due(columns: Columns, now_ms: int) -> int:
    """When the next strategy throttled as a whole can fire; NEVER where one can at this stream time."""
    rules, strategies = columns.rules, columns.strategies
    due = FOREVER
    for s in strategies.level:
        rule = strategies.rule[s]
        if now_ms < rules.now_from[rule] or now_ms >= rules.now_until[rule]:
            locate(rules, rule, now_ms)
        bucket = rules.now_bucket[rule]
        if bucket != NEVER and bucket > strategies.last_trigger[s]:
            return NEVER
        due = min(due, rules.now_until[rule])
    return due


@compiled
def flag(columns: Columns, t: int) -> None:
    """Note the update of a ticker: its bit, its time, and the count kept apart from both."""
    tracking, scalars = columns.tracking, columns.scalars
    word, bit = np.uint64(t) >> np.uint64(5), np.uint32(1) << np.uint32(t & 31)
    if tracking.flags[word] & bit == 0:
        tracking.flags[word] |= bit
        scalars[TOUCHED] += 1
        scalars[TOUCHED_MIX] += t * MIX
    tracking.stamps[np.uint64(t)] = columns.tickers.last_update[np.uint64(t)]


@compiled
def chain(columns: Columns, batch: Batch, t: int, tick: int) -> None:
    """Hang a tick behind the others of its ticker that the row must be looked at for."""
    tickers = columns.tickers
    if batch.ts_ms[tick] >= tickers.next_due[t]:
        tickers.next_due[t] = NEVER  # pairs may fire here: what a tick behind it is, late or not, hangs on that
    batch.next_tick[tick] = -1
    if tickers.chain_head[t] < 0:
        tickers.chain_head[t] = tick
    else:
        batch.next_tick[tickers.chain_tail[t]] = tick
    tickers.chain_tail[t] = tick


@compiled
def tally(columns: Columns, ticks: int, updates: int, clocks: int, dups: int, late: int) -> None:
    """Add to the totals; the updates twice, as one total is held against the other. Of `dups`, some are late."""
    counts = columns.counts
    counts[TICKS] += ticks
    counts[IRRELEVANT] += ticks - updates
    counts[UPDATES] += updates
    columns.tracking.counter[0] += updates
    counts[CLOCKS] += clocks
    counts[BUCKET_DUP] += dups - late
    counts[LATE] += late


@compiled
def late_when_settled(tickers: TickerColumns, t: int) -> int:
    """Note a tick for the pairs of a settled row that it is late for; returns how many these are."""
    late: int = tickers.late_pairs[np.uint64(t)]
    if late > 0:
        tickers.late_ticks[t] += 1
    return late


@compiled
def observe(columns: Columns, batch: Batch, tracked: bool, fires: FireColumns) -> bool:
    """Take the ticks from where the step stands; False where the fires of whole strategies may not fit."""
    tickers, scalars, counts = columns.tickers, columns.scalars, columns.counts
    stream_ms, level_due = scalars[STREAM_MS], scalars[LEVEL_DUE]
    ticks = clocks = dups = late = updates = 0
    taken = len(batch.ticker)
    for i in range(scalars[RESUME_AT], len(batch.ticker)):
        tick = np.uint64(i)  # unsigned, as in `note_other_buckets`
        t, now_ms = batch.ticker[tick], batch.ts_ms[tick]
        if t == NO_TICK:
            continue
        if t != CLOCK and not batch.moves_price[tick]:
            ticks += 1
            continue
        if now_ms > stream_ms:
            stream_ms = now_ms
        if stream_ms >= level_due:
            before = scalars[LEVEL_FIRES]
            if before + len(columns.strategies.level) > len(fires.tick):
                taken = i
                break
            scalars[LEVEL_FIRES], level_due = trigger(columns, stream_ms, i, fires, before)
            counts[TRIGGERED] += scalars[LEVEL_FIRES] - before
        if t == CLOCK:
            clocks += 1
            continue
        ticks, updates, at = ticks + 1, updates + 1, np.uint64(t)
        tickers.updates[at] += 1
        if now_ms > tickers.last_update[at]:
            tickers.last_update[at] = now_ms
        if tracked:
            flag(columns, t)
            if tickers.settled[at] <= now_ms < tickers.next_due[at]:
                dups += tickers.row_awake[at]
                late += late_when_settled(tickers, t)
                continue
        chain(columns, batch, t, i)
    scalars[STREAM_MS], scalars[LEVEL_DUE], scalars[RESUME_AT] = stream_ms, level_due, taken
    tally(columns, ticks, updates, clocks, dups, late)
    return taken == len(batch.ticker)


@compiled
def flags_agree(columns: Columns) -> bool:
    """Hold the flags, the times beside them and the counter against what was counted apart from them."""
    tracking, scalars = columns.tracking, columns.scalars
    if tracking.counter[0] != columns.counts[UPDATES]:
        return False
    flagged, mix = 0, np.int64(0)
    for word in range(len(tracking.flags)):
        bits, t = tracking.flags[word], word << 5
        while bits:
            if bits & np.uint32(1):
                flagged += 1
                mix += t * MIX
            bits >>= np.uint32(1)
            t += 1
    differ = 0
    for t in range(scalars[USED_TICKERS]):
        differ |= tracking.stamps[t] ^ columns.tickers.last_update[t]
    return bool(flagged == scalars[TOUCHED] and mix == scalars[TOUCHED_MIX] and differ == 0)


@compiled
def repair(columns: Columns) -> None:
    """Make the tracking what it would be with nothing flagged, from the state that it only mirrors."""
    tracking = columns.tracking
    for word in range(len(tracking.flags)):
        tracking.flags[word] = 0
    for t in range(len(columns.tickers.last_update)):
        tracking.stamps[t] = columns.tickers.last_update[t]
    tracking.counter[0] = columns.counts[UPDATES]


@compiled
def count_late(columns: Columns, t: int) -> None:
    """Count the late ticks of a row with each pair that they were late for, before anything of the row changes."""
    tickers, pairs, rules = columns.tickers, columns.pairs, columns.rules
    late, then_ms = tickers.late_ticks[t], tickers.looked_ms[t]
    if late == 0:
        return
    tickers.late_ticks[t] = 0
    start = tickers.row_start[t]
    for j in range(start, start + tickers.row_awake[t]):
        rule = pairs.rule[j]
        if then_ms < rules.now_from[rule] or then_ms >= rules.now_until[rule]:
            locate(rules, rule, then_ms)
        if rules.now_bucket[rule] != pairs.last_bucket[j]:  # of a settled row: an edit made it late, or a turn
            columns.strategies.late[pairs.strategy[j]] += late


@compiled
def count_late_of(columns: Columns, which: Int32s) -> None:
    """The same, for the rows of several tickers."""
    for t in which:
        count_late(columns, t)


def count_late_where_any(columns: Columns, which: Int32s) -> None:
    """The same, where there are any: to hand all columns to compiled code costs more than to look."""
    late_ticks = columns.tickers.late_ticks
    if np.count_nonzero(late_ticks if len(which) > len(late_ticks) else late_ticks[which]):
        count_late_of(columns, which)


@compiled
def tally_look(columns: Columns, pairs: int, fired: int, late: int, nowhere: int) -> None:
    """Add what became of the pairs of one look to the totals."""
    counts = columns.counts
    counts[LOOKS] += pairs
    counts[FIRED] += fired
    counts[BUCKET_DUP] += pairs - fired - late - nowhere
    counts[LATE] += late
    counts[NO_BUCKET] += nowhere


@compiled
def note_other_buckets(columns: Columns, t: int, now_ms: int, places: Int32s, at: int) -> tuple[int, int, int]:
    """Note from `at` on where pairs of the row stand whose last bucket is not the one of now.

    Returns where that ends, when the next bucket of any pair begins, and the newest of those that are left out.
    """
    tickers, pairs, rules = columns.tickers, columns.pairs, columns.rules
    due, newest, to = FOREVER, NEVER, np.uint64(at)
    start = np.uint64(tickers.row_start[t])  # unsigned: no place is looked at twice for whether it counts from the end
    for j in range(start, start + np.uint64(tickers.row_awake[t])):
        rule, last = np.uint64(pairs.rule[j]), pairs.last_bucket[j]
        if now_ms < rules.now_from[rule] or now_ms >= rules.now_until[rule]:
            locate(rules, int(rule), now_ms)
        bucket = rules.now_bucket[rule]
        due = min(due, rules.now_until[rule])
        other = (bucket != last) | (bucket == NEVER)
        places[to] = j
        to += np.uint64(other)
        newest = max(newest, NEVER if other else last)
    return int(to), due, newest


@compiled
def look(columns: Columns, t: int, tick: int, now_ms: int, fires: FireColumns) -> None:
    """Hold one tick against every awake pair of its ticker.

    Most pairs have had the bucket of now, and which have looks random to the processor: its wrong guesses took a sixth
    of a step. So where the others stand is noted first, without a branch, in the room for fires, and these are looked
    at by themselves.
    """
    tickers, pairs, rules, strategies = columns.tickers, columns.pairs, columns.rules, columns.strategies
    began, late, late_for_long, nowhere = columns.scalars[PAIR_FIRES], 0, 0, 0
    end, due, settled = note_other_buckets(columns, t, now_ms, fires.tick, began)
    to = np.uint64(began)
    for k in range(np.uint64(began), np.uint64(end)):
        j = np.uint64(fires.tick[k])
        rule, strategy, last = np.uint64(pairs.rule[j]), np.uint64(pairs.strategy[j]), pairs.last_bucket[j]
        bucket = rules.now_bucket[rule]
        if bucket > last and bucket > strategies.floor[strategy]:
            fires.tick[to], fires.strategy[to], fires.bucket_ms[to], fires.ts_ms[to] = tick, strategy, bucket, now_ms
            to += np.uint64(1)
            strategies.fired[strategy] += 1
            pairs.last_bucket[j] = last = bucket
        elif bucket == NEVER:
            nowhere += 1
            strategies.no_bucket[strategy] += 1
            last = FOREVER  # no tick here is a duplicate: look again at each
        else:
            late += 1
            strategies.late[strategy] += 1
            if last < rules.now_until[rule]:  # it fired where an edit has since moved the bounds: late until this ends
                last = bucket
                late_for_long += 1
        settled = max(settled, last)
    tickers.next_due[t], tickers.settled[t] = due, settled
    tickers.looked_ms[t], tickers.late_pairs[t] = now_ms, late_for_long
    columns.scalars[PAIR_FIRES] = to
    tally_look(columns, tickers.row_awake[t], int(to) - began, late, nowhere)


@compiled
def look_along_chain(columns: Columns, batch: Batch, t: int, fires: FireColumns) -> bool:
    """Take the chained ticks of one ticker in order, each off its chain; False where fires may not fit."""
    tickers = columns.tickers
    while tickers.chain_head[t] >= 0:
        tick, awake = tickers.chain_head[t], tickers.row_awake[t]
        now_ms = batch.ts_ms[tick]
        if tickers.settled[t] <= now_ms < tickers.next_due[t]:
            tally(columns, 0, 0, 0, awake, late_when_settled(tickers, t))
        elif columns.scalars[PAIR_FIRES] + awake > len(fires.tick):
            return False
        else:
            count_late(columns, t)
            look(columns, t, tick, now_ms, fires)
        tickers.chain_head[t] = batch.next_tick[tick]
    return True


@compiled
def look_at_flagged(columns: Columns, batch: Batch, fires: FireColumns) -> bool:
    """Look at the rows of the flagged tickers, and clear each flag after."""
    flags = columns.tracking.flags
    for word in range(len(flags)):
        t, bit = word << 5, np.uint32(1)
        while flags[word]:
            if flags[word] & bit:
                if not look_along_chain(columns, batch, t, fires):
                    return False
                flags[word] &= ~bit
            bit <<= np.uint32(1)
            t += 1
    return True


@compiled
def derive(columns: Columns, t: int) -> None:
    """Work out anew, from the pairs of a row, when it is due and from when on it is settled."""
    tickers, pairs, rules = columns.tickers, columns.pairs, columns.rules
    count_late(columns, t)
    tickers.late_pairs[t] = 0
    due, settled, start = FOREVER, NEVER, tickers.row_start[t]
    for j in range(start, start + tickers.row_awake[t]):
        rule, last = pairs.rule[j], pairs.last_bucket[j]
        behind = max(last, columns.strategies.floor[pairs.strategy[j]])
        if behind < rules.now_from[rule] or behind >= rules.now_until[rule]:
            locate(rules, rule, behind)
        until = rules.now_until[rule]
        if behind == NEVER or rules.now_bucket[rule] == NEVER:
            due, settled = NEVER, FOREVER
        due = min(due, until)
        settled = max(settled, last if last == rules.now_bucket[rule] else until)
    tickers.next_due[t], tickers.settled[t] = due, settled
    columns.counts[LOOKS] += tickers.row_awake[t]


@compiled
def look_at_all(columns: Columns, batch: Batch, fires: FireColumns) -> bool:
    """Look at every pair of the shard, and believe nothing that was derived from them before."""
    tickers, scalars = columns.tickers, columns.scalars
    for t in range(scalars[RESUME_AT], scalars[USED_TICKERS]):
        scalars[RESUME_AT] = t
        if tickers.chain_head[t] < 0:
            derive(columns, t)
            continue
        tickers.next_due[t], tickers.settled[t] = NEVER, FOREVER
        if not look_along_chain(columns, batch, t, fires):
            return False
    return True


@compiled
def tally_check(columns: Columns, looked_at: int) -> None:
    """Count what update tracking saved: tickers that a step looks at, and those that it need not."""
    if looked_at > 0:
        counts = columns.counts
        counts[CHECKS] += 1
        counts[PROCESSED] += looked_at
        counts[SKIPPED] += columns.scalars[USED_TICKERS] - looked_at


@compiled
def step(
    columns: Columns, batch: Batch, tracked: bool, phase: int, level_fires: FireColumns, pair_fires: FireColumns
) -> int:
    """One step over a batch, from `phase` on. Anything but DONE: a buffer is full; grow it, and call again."""
    scalars = columns.scalars
    if phase == OBSERVE:
        if not observe(columns, batch, tracked, level_fires):
            return OBSERVE
        phase = LOOK_AT_FLAGGED
        if not tracked:
            phase = LOOK_AT_ALL
        elif not flags_agree(columns):
            columns.counts[CORRUPTIONS] += 1
            repair(columns)
            phase = LOOK_AT_ALL
        tally_check(columns, scalars[TOUCHED] if phase == LOOK_AT_FLAGGED else scalars[USED_TICKERS])
        scalars[TOUCHED], scalars[TOUCHED_MIX], scalars[RESUME_AT] = 0, 0, 0
    if phase == LOOK_AT_FLAGGED:
        if not look_at_flagged(columns, batch, pair_fires):
            return LOOK_AT_FLAGGED
    elif not look_at_all(columns, batch, pair_fires):
        return LOOK_AT_ALL
    return DONE


long_step = also_letting_go(step, "long_step")
"""For so many ticks that other threads should run meanwhile."""
