"""One long list of each line of JSON, its texts as numbers: found in one pass of compiled code over the whole file.

Of a thousand texts a parser makes a thousand objects, each to be looked up and thrown away; here each distinct text of
the file becomes one. A line that is not as usual is left to the parser, which also knows what is wrong with it.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from streams.core.limits import MAX_TICKERS
from streams.entry_files.line_lists_kernel import NO_TEXT, Found, Lists, find_lists
from streams.entry_files.listed import UNASKED, Listed, Texts

MAX_TEXTS: Final = MAX_TICKERS
"""Distinct texts that are numbered; lines with more are left to the parser."""


class LineLists:
    """The lists of a file that stand behind one key."""

    def __init__(self, text: str, field: str, decode: Callable[[str], Any]) -> None:
        """Find them. `decode` is the parser, which raises ValueError for what is no JSON."""
        self._field, self._decode = field, decode
        self._raw = raw = text.encode()
        items, lines = raw.count(b'"') // 2, raw.count(b"\n") + 1
        most = min(items, MAX_TEXTS)
        slots = np.full(1 << (2 * most).bit_length(), NO_TEXT, np.int32)
        found = Found(slots, np.empty(most, np.uint64), np.empty(most, np.int64), np.empty(most, np.int64))
        spans, firsts = [np.empty(lines, np.int64) for _ in range(4)], np.empty(lines + 1, np.int64)
        lists = Lists._make([*spans, firsts, np.empty(items, np.int32)])
        key = np.frombuffer(f'"{field}"'.encode(), np.uint8)
        count = find_lists(np.frombuffer(raw, np.uint8), key, found, lists)
        starts, ends = found.starts[:count], found.starts[:count] + found.lengths[:count]
        texts = [raw[start:end].decode() for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        self._texts = Texts(texts, np.full(count, UNASKED, np.int32))
        self._which = lists.which
        places = [*spans, firsts[:-1], firsts[1:]]
        self._lines = list(zip(*(column.tolist() for column in places), strict=True))

    def value(self, line: int) -> dict[str, Any] | None:
        """What a line holds, counted from 0, its list as `Listed`; None where it is not usual."""
        line_start, line_end, start, end, first, behind = self._lines[line]
        if start < 0:
            return None
        try:
            value = self._decode((self._raw[line_start:start] + b"null" + self._raw[end:line_end]).decode())
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, dict) or value.get(self._field, self) is not None:
            return None  # the key stands somewhere deeper
        value[self._field] = Listed(self._texts, self._which[first:behind])
        return value
