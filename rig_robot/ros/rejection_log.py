"""Counts the input that a node rejects, and logs each reason once rather than thirty times a second."""

import math
import re
import time
from typing import Any


class RejectionLog:
    """Counts rejected input; a reason that lasts is logged once, or at intervals.

    Two reasons that differ only in their figures count as the same: an age, for instance, differs for every frame.

    Args:
        logger: The node's logger.
        repeat_s: Time after which a reason that lasts is logged again [s].
    """

    def __init__(self, logger: Any, repeat_s: float = math.inf) -> None:
        self._logger = logger
        self._repeat = repeat_s
        self._said: tuple[str, float] | None = None
        self.count = 0
        self.reason: str | None = None
        """why the last input was rejected; None where it was accepted"""

    def reject(self, reason: str) -> None:
        """Count one rejected input, and log the reason where it is new."""
        self.count += 1
        self.reason = reason
        kind, now = re.sub(r"[\d.]+", "#", reason), time.monotonic()
        if self._said is None or self._said[0] != kind or now - self._said[1] > self._repeat:
            self._logger.warning(reason)
            self._said = kind, now

    def accept(self) -> None:
        """Note accepted input: a later rejection is logged again."""
        self.reason = self._said = None
