"""Input that a node refuses: counted, and said once rather than thirty times a second."""

import math
import re
import time
from typing import Any


class Refusals:
    """Keeps count of what was refused and why; a reason that goes on is not said again and again.

    Two reasons that differ in their figures only are the same: an age, for instance, is another for every frame.
    """

    def __init__(self, logger: Any, repeat_s: float = math.inf) -> None:
        self._logger = logger
        self._repeat = repeat_s
        self._said: tuple[str, float] | None = None
        self.count = 0
        self.reason: str | None = None
        """Why the last input was refused; None while all is well."""

    def refuse(self, reason: str) -> None:
        """Note one refused input."""
        self.count += 1
        self.reason = reason
        kind, now = re.sub(r"[\d.]+", "#", reason), time.monotonic()
        if self._said is None or self._said[0] != kind or now - self._said[1] > self._repeat:
            self._logger.warning(reason)
            self._said = kind, now

    def accept(self) -> None:
        """Note that good input came: a later refusal is news again."""
        self.reason = self._said = None
