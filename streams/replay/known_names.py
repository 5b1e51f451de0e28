"""The tickers of a file's dictionaries: each text is read once, however many row groups or blocks name it."""

from typing import Any, Final

import numpy as np
import pyarrow as pa

from streams.core.decode import UNKNOWN, find_names
from streams.core.limits import MAX_TICKER_BYTES
from streams.core.tickers import Tickers
from streams.replay.limits import MAX_NAMES_KNOWN
from streams.replay.rejects import Fault
from streams.replay.tick_columns import Int32s, Names

_NO_BYTES: Final = np.zeros(0, np.uint8)
_MAX_ENTRIES: Final = int(np.iinfo(np.int32).max)
"""Of one dictionary. All of these are known, even where they are more than is kept in mind."""


class KnownNames:
    """All that were met, in a list that only grows; past a bound a new one is begun."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._known = Tickers(_MAX_ENTRIES)
        """The same by number."""

    def read(self, dictionary: Any) -> Names:  # noqa: ANN401 - pyarrow has no types
        """Read a dictionary, or know it again."""
        entries = dictionary.cast(pa.binary())
        places = self._places(entries)
        new = np.flatnonzero(places == UNKNOWN)
        if len(new):
            places = self._meet(entries, entries.take(pa.array(new)))
        faults = np.zeros(len(entries) + 1, np.uint8)
        faults[-1] = Fault.TICKER_EMPTY
        for at in np.flatnonzero(places == UNKNOWN).tolist():
            faults[at] = fault_of(entries[at].as_py())
        return Names(self.texts, np.append(np.maximum(places, 0), np.int32(0)), faults)

    def _places(self, entries: Any) -> Int32s:  # noqa: ANN401 - pyarrow has no types
        """Which of the texts each is; UNKNOWN where it is none of them."""
        places = np.empty(len(entries), np.int32)
        _, offsets, data = entries.buffers()
        if len(entries):
            ends = np.frombuffer(offsets, np.int32)[entries.offset :][: len(entries) + 1].astype(np.int64)
            raw = _NO_BYTES if data is None else np.frombuffer(data, np.uint8)[ends[0] :]
            find_names(raw, ends[1:] - ends[0], self._known.names, places)
        if entries.null_count:  # whatever stands there in the bytes
            places[entries.is_null().to_numpy(zero_copy_only=False)] = UNKNOWN
        return places

    def _meet(self, entries: Any, new: Any) -> Int32s:  # noqa: ANN401 - pyarrow has no types
        """Take those of the new entries that can be tickers; returns which of the texts each entry is then."""
        good = _good(new)
        if len(self.texts) + len(good) > MAX_NAMES_KNOWN:
            self.texts, self._known, good = [], Tickers(_MAX_ENTRIES), _good(entries)
        self._known.numbers_if_room(good)
        self.texts += good
        return self._places(entries)


def _good(entries: Any) -> list[str]:  # noqa: ANN401 - pyarrow has no types
    """Those that can be tickers, each once."""
    return [entry.decode() for entry in dict.fromkeys(entries.to_pylist()) if not fault_of(entry)]


def fault_of(entry: bytes | None) -> int:
    """What is wrong with a ticker, if anything."""
    if not entry:
        return Fault.TICKER_EMPTY
    if len(entry) > MAX_TICKER_BYTES:
        return Fault.TICKER_TOO_LONG
    try:
        entry.decode()
    except UnicodeDecodeError:
        return Fault.TICKER_NOT_UTF8
    return 0
