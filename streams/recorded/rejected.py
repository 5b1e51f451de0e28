"""`rejected.jsonl` of a topic: a line for each record that is no tick, with its place."""

import json
from collections.abc import Iterable

from streams.recorded.placed import Refused
from streams.whole_files import WholeFile


class RefusedWriter(WholeFile):
    """Writes the file. An empty one says that there was none."""

    rows = 0

    def add(self, refused: Iterable[Refused]) -> None:
        """Add some records."""
        for each in refused:
            self.write(json.dumps(each._asdict(), ensure_ascii=False) + "\n")
            self.rows += 1
