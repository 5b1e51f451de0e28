"""A column of texts as a dictionary of each row group: numbers, in the order in which the group met its texts.

Texts come as positions in lists of names, a list for each batch. What is written hangs on the texts alone, not on these
lists nor on the batches.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from streams.replay.texts_kernel import UNMET, number_texts
from streams.replay.tick_columns import Int32s


class Texts:
    """The texts that the row group has met so far."""

    def __init__(self) -> None:
        self._names: Sequence[str] = ()
        self._texts = pa.array([""], pa.string())
        """The names, and one more at the end: the empty text."""
        self._alias = np.zeros(1, np.int32)
        """By position in these: where the text stands first."""
        self._numbers = np.full(1, UNMET, np.int32)
        """By position where a text stands first."""
        self._before = self._texts[:0]
        """What was met of the lists before this one, by its numbers."""
        self._met: list[Int32s] = []
        """What was met of this one, behind those."""
        self._count = 0

    def number(self, names: Sequence[str], index: Int32s, out: Int32s) -> None:
        """Number texts by their positions in a list that only ever grows; -1 is the empty text."""
        if names is not self._names or len(names) >= len(self._alias):
            self._know(names)
        if len(index) and index.strides == (0,):  # one text in all rows
            self._number(index[:1].copy(), out[:1])
            out[1:] = out[0]
        else:
            self._number(index, out)

    def _number(self, index: Int32s, out: Int32s) -> None:
        met = np.empty(min(len(index), len(self._alias)), np.int32)
        count = number_texts(index, self._alias, self._numbers, self._count, met, out)
        if count > self._count:
            self._met.append(met[: count - self._count])
            self._count = count

    def take(self, numbers: Int32s) -> Any:  # noqa: ANN401 - pyarrow has no types
        """The rows of the group as a column; the next group has met nothing."""
        texts = self._all_met()
        self._before, self._met, self._count = self._texts[:0], [], 0
        self._numbers.fill(UNMET)
        return pa.DictionaryArray.from_arrays(pa.array(numbers), texts, safe=False)  # they are numbers of these texts

    def _all_met(self) -> Any:  # noqa: ANN401 - pyarrow has no types
        """The texts by their numbers."""
        met = np.concatenate([np.zeros(0, np.int32), *self._met])
        return pa.concat_arrays([self._before, self._texts.take(pa.array(met))])

    def _know(self, names: Sequence[str]) -> None:
        """Look up where the texts stand in a list; some may stand there twice. It may grow meanwhile."""
        self._before, self._met = self._all_met(), []
        known, first = [*names, ""], dict[str, int]()
        places = [first.setdefault(name, at) for at, name in enumerate(known)]
        self._names, self._alias = names, np.array(places, np.int32)
        self._texts = pa.array(known, pa.string())
        self._numbers = np.full(len(known), UNMET, np.int32)
        for number, text in enumerate(self._before.to_pylist()):
            if text in first:
                self._numbers[first[text]] = number
