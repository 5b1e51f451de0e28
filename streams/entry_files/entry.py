"""One mapping of a file, and where it stands."""

from typing import Any, NamedTuple


class Entry(NamedTuple):
    """Fields by name. Of a list, `item_lines` has the line of each item, where the format tells it."""

    line: int
    fields: dict[str, Any]
    field_lines: dict[str, int]
    item_lines: dict[str, list[int]]

    def line_of(self, field: str, item: int | None = None) -> int:
        """The line of a field or of one item of it, as near as is known."""
        if item is not None and field in self.item_lines:
            return self.item_lines[field][item]
        return self.field_lines.get(field, self.line)
