"""Lists of texts in lines of JSON, found in one pass over a file: the loops of `line_lists.py`.

Usual is: the key once in its line, behind it a list of texts, and no backslash anywhere in the line. Without a
backslash a text ends at the next quote, so what stands in a list is told without a parser of JSON.
"""

from typing import NamedTuple

import numpy as np

from streams.core.columns import Bytes, Int32s, Int64s
from streams.core.jit import compiled, letting_go

TAB: int = 9
NEWLINE: int = 10
RETURN: int = 13
SPACE: int = 32
QUOTE: int = 34
COMMA: int = 44
COLON: int = 58
OPENS: int = 91
BACKSLASH: int = 92
CLOSES: int = 93
NO_TEXT: int = -1
SHORT: int = 8
"""A text of fewer bytes is told by its key alone."""


class Found(NamedTuple):
    """Distinct texts by number, as they were met: open addressing from key to number, and where each stands first."""

    slots: Int32s
    keys: np.ndarray[tuple[int], np.dtype[np.uint64]]
    starts: Int64s
    lengths: Int64s


class Lists(NamedTuple):
    """By line: from where to where it goes, and its list; a start of -1 where it is not usual."""

    line_starts: Int64s
    line_ends: Int64s
    starts: Int64s
    ends: Int64s
    firsts: Int64s
    """Which of the items is its first one; one more entry says how many there are."""
    which: Int32s
    """The items of all lists: the number of each text."""


@compiled
def key_of(data: Bytes, at: int, length: int) -> np.uint64:
    """Eight bytes that stand for a text: a short one itself, with its length; else a hash.

    As `core/decode.py` makes them of names, and looks them up. Compiled code stays within its file.
    """
    if length < SHORT:
        key = np.uint64(length) << np.uint64(56)
        for k in range(length):
            key |= np.uint64(data[at + k]) << np.uint64(8 * k)
        return key
    key = np.uint64(length)
    for k in range(length):
        key = (key ^ np.uint64(data[at + k])) * np.uint64(0x100000001B3)
        key ^= key >> np.uint64(29)
    return key | np.uint64(0xFF00000000000000)


@compiled
def is_same(data: Bytes, at: int, length: int, texts: Found, number: int) -> bool:
    """Whether a text is the one of that number; their keys are equal."""
    if length < SHORT:
        return True
    if texts.lengths[number] != length:
        return False
    start = texts.starts[number]
    for k in range(length):
        if data[start + k] != data[at + k]:
            return False
    return True


@compiled
def number_of(data: Bytes, at: int, length: int, texts: Found, known: int) -> int:
    """The number of a text, `known` where it is new and was given that; NO_TEXT where there is no room."""
    key = key_of(data, at, length)
    slot = np.int64((key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) & (len(texts.slots) - 1)
    while True:
        number: int = texts.slots[slot]
        if number == NO_TEXT:
            break
        if texts.keys[number] == key and is_same(data, at, length, texts, number):
            return number
        slot = (slot + 1) & (len(texts.slots) - 1)
    if known == len(texts.keys):
        return NO_TEXT
    texts.slots[slot] = known
    texts.keys[known], texts.starts[known], texts.lengths[known] = key, at, length
    return known


@compiled
def past_space(data: Bytes, at: int) -> int:
    """The next place that is no space; a line's end is none."""
    while at < len(data) and (data[at] == SPACE or data[at] == TAB or data[at] == RETURN):
        at += 1
    return at


@compiled
def past_text(data: Bytes, at: int) -> int:
    """Behind the text that begins here, at its quote; -1 where none does."""
    if at >= len(data) or data[at] != QUOTE:
        return -1
    at += 1
    while at < len(data) and data[at] != QUOTE:
        if data[at] < SPACE or data[at] == BACKSLASH:
            return -1
        at += 1
    return at + 1 if at < len(data) else -1


@compiled
def list_start(data: Bytes, at: int) -> int:
    """Where the list opens that stands behind a key; -1 where none does."""
    at = past_space(data, at)
    if at >= len(data) or data[at] != COLON:
        return -1
    at = past_space(data, at + 1)
    return at if at < len(data) and data[at] == OPENS else -1


@compiled
def read_list(data: Bytes, at: int, texts: Found, known: int, which: Int32s, count: int) -> tuple[int, int, int]:
    """Number the texts of the list that opens here; returns where it ends, -1: not usual, and what is known then."""
    at = past_space(data, at + 1)
    if at < len(data) and data[at] == CLOSES:
        return at + 1, known, count
    while True:
        start = at
        at = past_text(data, at)
        if at < 0:
            return -1, known, count
        number = number_of(data, start + 1, at - start - 2, texts, known)
        if number == NO_TEXT:
            return -1, known, count
        if number == known:
            known += 1
        which[count] = number
        count += 1
        at = past_space(data, at)
        if at >= len(data) or (data[at] != COMMA and data[at] != CLOSES):
            return -1, known, count
        if data[at] == CLOSES:
            return at + 1, known, count
        at = past_space(data, at + 1)


@compiled
def stands_at(data: Bytes, at: int, key: Bytes) -> bool:
    """Whether the key stands here."""
    if at + len(key) > len(data):
        return False
    for k in range(len(key)):
        if data[at + k] != key[k]:
            return False
    return True


@letting_go
def find_lists(data: Bytes, key: Bytes, texts: Found, lists: Lists) -> int:
    """Find the list behind the key in each line; returns how many distinct texts there are in all of them."""
    at = known = count = line = 0
    while True:
        lists.line_starts[line], lists.firsts[line] = at, count
        usual, first, start, end = True, count, -1, -1
        while at < len(data) and data[at] != NEWLINE:
            if data[at] == BACKSLASH:
                usual = False
            elif usual and data[at] == QUOTE and stands_at(data, at, key):
                if start < 0:
                    start = list_start(data, at + len(key))
                    if start >= 0:
                        end, known, count = read_list(data, start, texts, known, lists.which, count)
                        if end >= 0:
                            at = end
                            continue
                usual = False
            at += 1
        if not usual or start < 0:
            start, count = -1, first
        lists.line_ends[line], lists.starts[line], lists.ends[line] = at, start, end
        line += 1
        if at >= len(data):
            break
        at += 1
    lists.firsts[line] = count
    return known
