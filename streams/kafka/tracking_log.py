"""What a shard says of its update tracking: that flags were corrupt, at once; what was saved, every ten checks."""

import logging
from typing import Final

from streams.instruments import Done, saved_ratio, summed

log = logging.getLogger(__name__)

CHECKS_BETWEEN: Final = 10
"""Checks between two lines. They are for debugging: at full load there are many lines a second."""


class TrackingLog:
    """Of one shard."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._gathered = Done(0.0)

    def tell(self, done: Done) -> None:
        """Take what an emission did."""
        if done.corruptions:
            log.warning(
                "shard %d: update flags were corrupt; every pair was looked at, nothing is lost, and they are mended",
                self._partition,
            )
        if not log.isEnabledFor(logging.DEBUG):
            return
        self._gathered = told = summed([self._gathered, done], 0.0)
        if told.checks >= CHECKS_BETWEEN:
            form = "shard %d: %d checks, processing %d/%d updated symbols, %d skipped, saved: %.1f%%"
            symbols, saved = told.processed + told.skipped, 100 * saved_ratio(told)
            log.debug(form, self._partition, told.checks, told.processed, symbols, told.skipped, saved)
            self._gathered = Done(0.0)
