"""Mistakes that the property tests must find: each is one place of the kernel or its state, told wrongly.

The old text stands exactly once in its file, so that a mistake that no longer fits is noticed, by its name.
"""

from typing import Final, NamedTuple


class Mutant(NamedTuple):
    """One mistake."""

    name: str
    file: str
    """Within `streams/core`."""
    old: str
    new: str


def mutated(mutant: Mutant, text: str) -> str:
    """The file's text with the mistake."""
    count = text.count(mutant.old)
    assert count == 1, f"{mutant.name}: its old text stands {count} times in {mutant.file}; bring the mutant up to date"
    return text.replace(mutant.old, mutant.new)


MUTANTS: Final = (
    # What one tick is to one pair.
    Mutant("a pair fires in a bucket before its last", "kernel.py", "if bucket > last and", "if bucket != last and"),
    Mutant("what is late counts as a duplicate", "kernel.py", "other = (bucket != last)", "other = (bucket > last)"),
    Mutant(
        "where there is no bucket a pair is left out",
        "kernel.py",
        "(bucket != last) | (bucket == NEVER)",
        "bucket != last",
    ),
    # When a row must be looked at.
    Mutant(
        "the latest pair due makes a ticker due, not the first",
        "kernel.py",
        "due = min(due, rules.now_until[rule])\n        other",
        "due = rules.now_until[rule] if due == FOREVER else max(due, rules.now_until[rule])\n        other",
    ),
    Mutant(
        "a ticker is settled one ms too early",
        "kernel.py",
        "if tickers.settled[at] <= now_ms < tickers.next_due[at]:\n                dups",
        "if tickers.settled[at] - 1 <= now_ms < tickers.next_due[at]:\n                dups",
    ),
    Mutant(
        "a ticker is due one ms too late",
        "kernel.py",
        "if tickers.settled[at] <= now_ms < tickers.next_due[at]:\n                dups",
        "if tickers.settled[at] <= now_ms <= tickers.next_due[at]:\n                dups",
    ),
    Mutant(
        "the first pair settled settles the ticker", "kernel.py", "settled = max(settled, last)\n", "settled = last\n"
    ),
    Mutant(
        "pairs that have had their bucket do not settle the ticker",
        "kernel.py",
        "newest = max(newest, NEVER if other else last)",
        "newest = NEVER",
    ),
    Mutant(
        "a pair that an edit made late settles the ticker",
        "kernel.py",
        "if last < rules.now_until[rule]:  #",
        "if last > rules.now_until[rule]:  #",
    ),
    Mutant(
        "late ticks of a row are counted with every pair of it",
        "kernel.py",
        "if rules.now_bucket[rule] != pairs.last_bucket[j]:",
        "if rules.now_bucket[rule] != FOREVER:",
    ),
    Mutant(
        "late ticks of a row are counted with its pairs again and again",
        "kernel.py",
        "    tickers.late_ticks[t] = 0\n",
        "",
    ),
    Mutant(
        "a late pair that has gone to sleep is counted as late for good",
        "rows.py",
        "if tickers.late_pairs[t] > 0:",
        "if tickers.late_pairs[t] < 0:",
    ),
    Mutant(
        "a tick behind one that is due does not wait for it",
        "kernel.py",
        "if batch.ts_ms[tick] >= tickers.next_due[t]:",
        "if batch.ts_ms[tick] < NEVER:",
    ),
    Mutant(
        "an edited pair counts as settled where every row was looked at",
        "kernel.py",
        "last if last == rules.now_bucket[rule] else until)",
        "last)",
    ),
    # Times.
    Mutant("stream time runs backwards", "kernel.py", "if now_ms > stream_ms:", "if now_ms != stream_ms:"),
    Mutant(
        "a tick that must not move the price moves stream time",
        "kernel.py",
        "            ticks += 1\n            continue\n",
        "            ticks += 1\n            stream_ms = max(stream_ms, now_ms)\n            continue\n",
    ),
    Mutant("time after a close makes buckets", "kernel.py", "min(now_ms, end - 1) - start", "now_ms - start"),
    Mutant(
        "the first ms of a day belongs to the day before",
        "kernel.py",
        "segment_starts[middle] <= now_ms",
        "segment_starts[middle] < now_ms",
    ),
    # Strategies throttled as a whole.
    Mutant(
        "a whole strategy fires again within its bucket",
        "kernel.py",
        "bucket > strategies.last_trigger[s]:\n            strategies.last_trigger[s] = bucket",
        "bucket >= strategies.last_trigger[s]:\n            strategies.last_trigger[s] = bucket",
    ),
    Mutant(
        "a change does not make whole strategies due",
        "index.py",
        "            self._decide_in(entry, entry.turn)\n        self.columns.scalars[Scalars.LEVEL_DUE] = NEVER\n",
        "            self._decide_in(entry, entry.turn)\n",
    ),
    # Update tracking.
    Mutant(
        "a step leaves its flags set",
        "kernel.py",
        "        while flags[word]:\n"
        "            if flags[word] & bit:\n"
        "                if not look_along_chain(columns, batch, t, fires):\n"
        "                    return False\n"
        "                flags[word] &= ~bit\n",
        "        for _ in range(32):\n"
        "            if flags[word] & bit:\n"
        "                if not look_along_chain(columns, batch, t, fires):\n"
        "                    return False\n",
    ),
    Mutant(
        "flags are never found corrupt",
        "kernel.py",
        "return bool(flagged == scalars[TOUCHED] and",
        "return bool(flagged >= 0 or",
    ),
    Mutant(
        "the counter is never held against the total",
        "kernel.py",
        "if tracking.counter[0] != columns.counts[UPDATES]:",
        "if tracking.counter[0] < 0:",
    ),
    Mutant("the times beside the flags do not count", "kernel.py", "and differ == 0)", "and differ == differ)"),
    # A full buffer.
    Mutant("a tick is left out where a step goes on", "kernel.py", "taken = i\n", "taken = i + 1\n"),
    Mutant(
        "a tick counts twice where a step goes on",
        "kernel.py",
        "                taken = i\n",
        "                taken = i\n                ticks += 1\n",
    ),
    Mutant(
        "a tick is left out where a row has no room for its fires",
        "kernel.py",
        "        elif columns.scalars[PAIR_FIRES] + awake > len(fires.tick):\n",
        "        elif columns.scalars[PAIR_FIRES] + awake > len(fires.tick):\n"
        "            tickers.chain_head[t] = batch.next_tick[tick]\n",
    ),
    Mutant(
        "a row is left out where a step over all rows goes on",
        "kernel.py",
        "scalars[RESUME_AT] = t\n",
        "scalars[RESUME_AT] = t + 1\n",
    ),
    # What happened to each strategy.
    Mutant("a tick is not counted with its ticker", "kernel.py", "updates[at] += 1\n", "updates[at] += 0\n"),
    Mutant("a fire is not its strategy's", "kernel.py", "strategies.fired[strategy] += 1\n", "pass\n"),
    Mutant("what is late is not its strategy's", "kernel.py", "strategies.late[strategy] += 1\n", "pass\n"),
    Mutant(
        "a strategy that goes has seen nothing",
        "rows.py",
        "strategies.seen[strategy] += tickers.updates[t]",
        "strategies.seen[strategy] += 0",
    ),
    Mutant("a round never ends for a ticker", "strategy_counts.py", "before[t] = updates[t]\n", "pass\n"),
    Mutant("a pair that sleeps still watches", "strategy_counts.py", "row_awake[t]", "row_used[t]"),
    Mutant(
        "who has no timeframe is not skipped",
        "strategy_counts.py",
        "in index.warnings:",
        "in list(index.warnings)[:0]:",
    ),
    # Rows.
    Mutant(
        "a pair that goes to sleep is forgotten",
        "rows.py",
        "            swap(pairs, j, last)\n",
        "            swap(pairs, j, last)\n            pairs.last_bucket[last] = NEVER\n",
    ),
    Mutant(
        "a pair that wakes has not fired",
        "rows.py",
        "pairs.last_bucket[j] = max(pairs.last_bucket[j], floor[k])",
        "pairs.last_bucket[j] = floor[k]",
    ),
    Mutant(
        "a pair that wakes fires where every ticker ran",
        "rows.py",
        "pairs.last_bucket[j] = max(pairs.last_bucket[j], floor[k])",
        "pairs.last_bucket[j] = max(pairs.last_bucket[j], NEVER)",
    ),
    Mutant(
        "a pair that wakes does not make its ticker due",
        "rows.py",
        "        tickers.row_used[t] += 1\n    tickers.next_due[t], tickers.settled[t] = NEVER, FOREVER\n",
        "        tickers.row_used[t] += 1\n",
    ),
    Mutant("the first pair asleep cannot wake", "rows.py", "if j >= border:", "if j > border:"),
    Mutant("the last pair awake cannot sleep", "rows.py", "if 0 <= j <= last:", "if 0 <= j < last:"),
    Mutant(
        "a row that moves leaves its last pair behind",
        "rows.py",
        "for k in range(held):\n        move",
        "for k in range(held - 1):\n        move",
    ),
    Mutant(
        "packing leaves the last pair of a row behind",
        "rows.py",
        "for k in range(tickers.row_used[t]):\n            source",
        "for k in range(tickers.row_used[t] - 1):\n            source",
    ),
    Mutant(
        "who has pairs is taken for new",
        "waking.py",
        "new_from, placing = self._new_from, placing_of(entries)",
        "new_from, placing = 0, placing_of(entries)",
    ),
    # What is carried over between pairs and the whole.
    Mutant(
        "tickers forget that they ran with a legacy strategy",
        "rows.py",
        "max(pairs.last_bucket[j], bucket_ms)",
        "max(pairs.last_bucket[j], NEVER)",
    ),
    Mutant("tickers forget that they ran with a global strategy", "index.py", "entry.floor_ms = bucket_ms\n", "pass\n"),
    Mutant(
        "a whole strategy does not know what its tickers ran",
        "index.py",
        "max(entry.last_run_ms, ran_ms, last_old_bucket(turn))",
        "max(entry.last_run_ms, last_old_bucket(turn))",
    ),
    Mutant(
        "a strategy that turns to the whole does not wait for the next bucket",
        "index.py",
        "max(entry.last_run_ms, ran_ms, last_old_bucket(turn))",
        "max(entry.last_run_ms, ran_ms)",
    ),
    Mutant(
        "pairs do not wait for the turn to them",
        "index.py",
        "strategies.floor[number] = last_old_bucket(turn)",
        "_ = int(strategies.rule[number]), last_old_bucket(turn)",
    ),
    Mutant("a turn is forgotten", "ways.py", "self._due_ms[strategy_id] = first_in(rule, coming_ms)", "FOREVER"),
    Mutant(
        "what one ticker ran counts for all that run with it",
        "index.py",
        "if last > entry.began_after_ms:",
        "if last > NEVER:",
    ),
    Mutant("a whole strategy forgets when it ran", "index.py", "        entry.last_run_ms = bucket_ms\n", ""),
)
