"""`policy.yaml` while somebody may edit it: what it says now, or what it said last where that cannot be read."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from streams.errors import InputError
from streams.trader.conviction import Policy
from streams.trader.policy_file import read_policy

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0
"""Between two looks at the file."""


class PolicyWatch:
    """One file; `now_s` is a clock that does not go back."""

    def __init__(self, path: Path, now_s: Callable[[], float]) -> None:
        """Raises `InputError` where the file cannot be read to begin with."""
        self._path, self._now_s = path, now_s
        self._good = read_policy(path)
        self._looked_s = now_s()
        self.trouble = ""
        """Why what the file says now is not in force; empty where it is."""

    def policy(self, standing: Policy | None) -> Policy:
        """What is in force. While the file cannot be read that is what stands, even if this process never saw it."""
        if self._now_s() >= self._looked_s + LOOK_S:
            self._looked_s = self._now_s()
            self._look()
        return self._good if not self.trouble or standing is None else standing

    def _look(self) -> None:
        try:
            self._good, trouble = read_policy(self._path), ""
        except InputError as error:
            trouble = str(error)
        if trouble and trouble != self.trouble:
            log.warning("%s (the policy stays as it was)", trouble)
        if self.trouble and not trouble:
            log.info("%s can be read again", self._path)
        self.trouble = trouble
