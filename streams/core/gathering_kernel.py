"""The coalescing window, fast: fires into groups, and groups out when they are due. `gathering` tells the rules.

Of a strategy one group is open at most, so groups are columns by strategy. A group is closed when the next fire of its
strategy finds it due, or at the end; those closed are put in their order afterwards, which is the same as if each had
been closed in its moment. The tickers of a group hang one behind the other in a chain; what went out leaves links free.
"""

from typing import Final, NamedTuple

from streams.core.columns import Bytes, Fires, Int32s, Int64s, RuleColumns, Ticks
from streams.core.decode import Names
from streams.core.jit import compiled
from streams.core.kernel import CLOCK, NO_TICK
from streams.core.limits import FOREVER

NO_LINK: Final = -1
IN_TIME: Final = -1
"""In place of the offset of the tick that found a group full."""
LONGEST_SHORT: Final = 63
"""The most bytes of a name whose length takes one byte in an execution."""


class Open(NamedTuple):
    """One entry a strategy: its group. Where none is open it is due FOREVER."""

    bucket_ms: Int64s
    due_ms: Int64s
    first_offset: Int64s
    last_offset: Int64s
    ts_ms: Int64s
    used_bytes: Int64s
    tickers: Int32s
    head: Int32s
    tail: Int32s
    changed: Bytes
    """1 where the row in the changelog does not say what is here."""


class Links(NamedTuple):
    """One entry a gathered ticker; those that are free are a chain too."""

    ticker: Int32s
    following: Int32s


class Closed(NamedTuple):
    """Room for groups that go out."""

    strategy: Int32s
    bucket_ms: Int64s
    closed_ms: Int64s
    full_at: Int64s
    """The tick that found it full; IN_TIME for the others."""
    first_offset: Int64s
    last_offset: Int64s
    ts_ms: Int64s
    used_bytes: Int64s
    tickers: Int32s
    head: Int32s


@compiled
def stream_times(ticks: Ticks, before_ms: int, out: Int64s) -> None:
    """Write stream time as it is after each tick."""
    stream_ms = before_ms
    for i in range(len(out)):
        t = ticks.ticker[i]
        if t != NO_TICK and (t == CLOCK or ticks.moves_price[i]):
            stream_ms = max(stream_ms, ticks.ts_ms[i])
        out[i] = stream_ms


@compiled
def bucket_end(rules: RuleColumns, rule: int, bucket_ms: int) -> int:
    """Where a bucket ends that begins here."""
    low, high = rules.segment_from[rule], rules.segment_to[rule]
    last = high
    while high - low > 1:
        middle = (low + high) >> 1
        if rules.segment_starts[middle] <= bucket_ms:
            low = middle
        else:
            high = middle
    step = rules.step_ms[rule]
    if step > 0 and bucket_ms + step < rules.segment_ends[low]:
        return int(bucket_ms + step)
    return int(rules.until_ms[rule] if low + 1 == last else rules.segment_starts[low + 1])


@compiled
def close(s: int, closed_ms: int, full_at: int, groups: Open, out: Closed, count: int) -> int:
    """Close a strategy's group; returns how many are closed."""
    out.strategy[count], out.bucket_ms[count], out.closed_ms[count] = s, groups.bucket_ms[s], closed_ms
    out.first_offset[count], out.last_offset[count] = groups.first_offset[s], groups.last_offset[s]
    out.ts_ms[count], out.used_bytes[count] = groups.ts_ms[s], groups.used_bytes[s]
    out.tickers[count], out.head[count], out.full_at[count] = groups.tickers[s], groups.head[s], full_at
    groups.due_ms[s], groups.changed[s] = FOREVER, 1
    return count + 1


@compiled
def close_due(stream_ms: int, groups: Open, out: Closed) -> int:
    """Close all that are due; returns how many."""
    count = 0
    for s in range(len(groups.due_ms)):
        if groups.due_ms[s] <= stream_ms:
            count = close(s, groups.due_ms[s], IN_TIME, groups, out, count)
    return count


@compiled
def open_group(s: int, bucket_ms: int, due_ms: int, offset: int, ts_ms: int, groups: Open) -> None:
    """Open a group, without a ticker yet."""
    groups.bucket_ms[s], groups.due_ms[s] = bucket_ms, due_ms
    groups.first_offset[s], groups.ts_ms[s] = offset, ts_ms
    groups.used_bytes[s] = groups.tickers[s] = 0
    groups.head[s] = groups.tail[s] = NO_LINK


@compiled
def join(s: int, t: int, size: int, offset: int, ts_ms: int, groups: Open, links: Links, free: int) -> int:
    """Hang a ticker into a strategy's group; returns the next free link."""
    link, free = free, links.following[free]
    links.ticker[link], links.following[link] = t, NO_LINK
    if groups.head[s] == NO_LINK:
        groups.head[s] = link
    else:
        links.following[groups.tail[s]] = link
    groups.tail[s] = link
    groups.last_offset[s], groups.ts_ms[s] = offset, min(groups.ts_ms[s], ts_ms)
    groups.used_bytes[s] += size
    groups.tickers[s] += 1
    groups.changed[s] = 1
    return free


@compiled
def size_of(length: int) -> int:
    """What a ticker takes in an execution."""
    return length + (1 if length <= LONGEST_SHORT else 2)


@compiled
def join_all(
    s: int, tickers: Int32s, lengths: Int32s, offset: int, ts_ms: int, groups: Open, links: Links, free: int
) -> int:
    """Hang several tickers into a strategy's group; returns the next free link."""
    for t in tickers:
        free = join(s, t, size_of(lengths[t]), offset, ts_ms, groups, links, free)
    return free


@compiled
def gather(
    fires: Fires,
    order: Int32s,
    stream_ms: Int64s,
    offsets: Int64s,
    windows_ms: Int64s,
    rule_of: Int32s,
    rules: RuleColumns,
    lengths: Int32s,
    room: int,
    groups: Open,
    links: Links,
    free: int,
    out: Closed,
    at_once: Bytes,
) -> tuple[int, int]:
    """Take fires in their order; notes those that are not gathered. Returns the next free link, and how many closed."""
    count = 0
    for fire in order:
        s, t, bucket_ms, tick = fires.strategy[fire], fires.ticker[fire], fires.bucket_ms[fire], fires.tick[fire]
        now_ms, offset, ts_ms = stream_ms[tick], offsets[tick], fires.ts_ms[fire]
        at_once[fire] = 1
        if t < 0 or windows_ms[s] == 0:
            continue
        if groups.due_ms[s] <= now_ms:
            count = close(s, groups.due_ms[s], IN_TIME, groups, out, count)
        if groups.due_ms[s] != FOREVER and groups.bucket_ms[s] != bucket_ms:
            continue  # of a bucket that stream time has left
        size = size_of(lengths[t])
        if groups.due_ms[s] != FOREVER and groups.used_bytes[s] + size > room:
            count = close(s, now_ms, offset, groups, out, count)
        if groups.due_ms[s] == FOREVER:
            end_ms = bucket_end(rules, rule_of[s], bucket_ms)
            if end_ms <= now_ms:
                continue
            open_group(s, bucket_ms, min(now_ms + windows_ms[s], end_ms), offset, ts_ms, groups)
        at_once[fire] = 0
        free = join(s, t, size, offset, ts_ms, groups, links, free)
    return free, count


@compiled
def add_free(links: Links, first: int, free: int) -> int:
    """Make the links from `first` on free; returns the next free one."""
    for link in range(first, len(links.ticker)):
        links.following[link] = link + 1 if link + 1 < len(links.ticker) else free
    return first if first < len(links.ticker) else free


@compiled
def take_members(head: Int32s, links: Links, free: int, members: Int32s, ends: Int64s) -> int:
    """Lay the tickers of groups side by side, and free their links; returns the next free one."""
    at = 0
    for e in range(len(head)):
        link = head[e]
        while link != NO_LINK:
            members[at] = links.ticker[link]
            at += 1
            following = links.following[link]
            links.following[link] = free
            free, link = link, following
        ends[e] = at
    return free


@compiled
def put_names(head: Int32s, links: Links, names: Names, out: Bytes, ends: Int64s) -> None:
    """Write the tickers of groups, the length of each in a byte before it."""
    at = 0
    for e in range(len(head)):
        link = head[e]
        while link != NO_LINK:
            t = links.ticker[link]
            start, length = names.starts[t], names.lengths[t]
            out[at] = length
            for k in range(length):
                out[at + 1 + k] = names.arena[start + k]
            at += 1 + length
            link = links.following[link]
        ends[e] = at
