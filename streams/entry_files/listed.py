"""A list of texts as numbers, as one of a line of JSON may come."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from streams.core.columns import Int32s

UNASKED: Final = -1


class Texts(NamedTuple):
    """The distinct texts of a file, and what whoever reads it calls each; UNASKED as far as it has not asked."""

    texts: list[str]
    called: Int32s


class Listed:
    """The texts of one list, by their places among those of the file."""

    __slots__ = ("_texts", "_which")

    def __init__(self, texts: Texts, which: Int32s) -> None:
        self._texts, self._which = texts, which

    def __len__(self) -> int:
        return len(self._which)

    def __iter__(self) -> Iterator[str]:
        return map(self._texts.texts.__getitem__, self._which.tolist())

    def called(self, numbers: Mapping[str, int]) -> Int32s:
        """The number of each, by the same names whenever it is asked; KeyError where one has none."""
        called: Int32s = self._texts.called[self._which]
        new = self._which[called == UNASKED]
        if len(new):
            for text in new.tolist():
                self._texts.called[text] = numbers[self._texts.texts[text]]
            called = self._texts.called[self._which]
        return called
