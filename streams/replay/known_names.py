"""The tickers of a file's dictionaries: each text is read once, however many row groups or blocks name it."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streams.core.limits import MAX_TICKER_BYTES
from streams.replay.limits import MAX_NAMES_KNOWN
from streams.replay.rejects import Fault
from streams.replay.tick_columns import Names

_NONE: Final = pa.array([], pa.binary())


class KnownNames:
    """All that were met, in a list that only grows; past a bound a new one is begun."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._entries = _NONE
        """The same as they stand in dictionaries."""

    def read(self, dictionary: Any) -> Names:  # noqa: ANN401 - pyarrow has no types
        """Read a dictionary, or know it again."""
        entries = dictionary.cast(pa.binary())
        places = self._places(entries)
        if places.null_count:
            self._meet(entries, entries.filter(places.is_null()))
            places = self._places(entries)
        faults = np.zeros(len(entries) + 1, np.uint8)
        faults[-1] = Fault.TICKER_EMPTY
        if places.null_count:
            for at in np.flatnonzero(places.is_null().to_numpy(zero_copy_only=False)).tolist():
                faults[at] = fault_of(entries[at].as_py())
        return Names(self.texts, np.append(places.fill_null(0).to_numpy(), np.int32(0)), faults)

    def _places(self, entries: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
        return pc.index_in(entries, value_set=self._entries)

    def _meet(self, entries: Any, new: Any) -> None:  # noqa: ANN401 - pyarrow has no types
        """Take those of the new entries that can be tickers."""
        if len(self.texts) + len(new) > MAX_NAMES_KNOWN:
            self.texts, self._entries, new = [], _NONE, entries
        good = [entry for entry in new.unique().to_pylist() if not fault_of(entry)]
        self.texts += [entry.decode() for entry in good]
        self._entries = pa.concat_arrays([self._entries, pa.array(good, pa.binary())])


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
