"""The bucket rules in use, each a dense number, as the columns that the kernel walks."""

import numpy as np

from streams.core.columns import RuleColumns
from streams.core.limits import NEVER
from streams.core.timeframes import BucketRule, bucket_rule, parse_timeframe


class Rules:
    """One number for each timeframe, time zone and session that a strategy has asked for."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[str, str, str], int] = {}
        self.tables: list[BucketRule] = []
        self.columns = self._columns()

    def number(self, timeframe: str, time_zone: str, session: str) -> int:
        """The rule's number; raises ValueError, with the remedy, where there is no such rule."""
        key = (timeframe, time_zone, session)
        if key not in self.numbers:
            self.tables.append(bucket_rule(parse_timeframe(timeframe), time_zone, session))
            self.numbers[key] = len(self.tables) - 1
            self.columns = self._columns()
        return self.numbers[key]

    def _columns(self) -> RuleColumns:
        tables, wide = self.tables, np.int64
        sizes = [len(table.starts) for table in tables]
        ends = np.cumsum(sizes, dtype=wide)
        nothing = np.zeros(0, wide)
        return RuleColumns(
            np.array([table.step_ms for table in tables], wide),
            np.array([table.until_ms for table in tables], wide),
            ends - np.array(sizes, wide),
            ends,
            np.full(len(tables), NEVER, wide),
            np.full(len(tables), NEVER, wide),  # an interval that holds no time: the first look finds its own
            np.full(len(tables), NEVER, wide),
            np.concatenate([nothing, *(table.starts for table in tables)]),
            np.concatenate([nothing, *(table.ends for table in tables)]),
        )
