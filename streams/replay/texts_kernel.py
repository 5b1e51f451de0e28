"""Texts of a column as numbers of a row group's own: the loop of `texts.py`."""

import numpy as np

from streams.core.columns import Int32s
from streams.core.jit import letting_go

UNMET: int = -1
"""Stands for the number of a text that the row group has not met."""


@letting_go
def number_texts(index: Int32s, alias: Int32s, numbers: Int32s, known: int, met: Int32s, out: Int32s) -> int:
    """Number each text, new ones from `known` on, and note in `met` which these are; returns how many are known then.

    `index` says which of the names, and -1 the last: no name.
    """
    first, last = known, len(alias) - 1
    for row in range(len(index)):
        at = index[row]
        name = alias[np.uint64(at if at >= 0 else last)]
        number = numbers[np.uint64(name)]
        if number == UNMET:
            number = numbers[name] = known
            met[known - first] = name
            known += 1
        out[row] = number
    return known
