"""Keeps what the trainer has reported since the console started, for the learning curve of the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

CURVES = {"vae/squared_error": "VAE: squared error", "critic_loss": "policy: critics' loss"}
"""Losses that are drawn, by the trainer's name of each, with what the page calls it."""
MOST = 600
"""Points that are kept of a curve; a fuller one loses every second point."""


@dataclass
class LearningCurve:
    """Losses over time.

    Attributes:
        curves: By the trainer's name of a loss: time [s, since 1970] and value of each point, oldest first. Each list
            is replaced whole, so that another thread may read it at any time.
    """

    curves: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {name: [] for name in CURVES})
    _spacing: dict[str, float] = field(default_factory=lambda: dict.fromkeys(CURVES, 1.0))

    def hear(self, said: Mapping[str, str], at: float) -> None:
        """Take a report of `rig/trainer/progress`; at: when it was heard [s, since 1970].

        A paused or waiting trainer repeats its last losses, which are no points of the curve.
        """
        for name, points in self.curves.items():
            value = _number(said.get(name, ""))
            if not math.isfinite(value) or (points and (at - points[-1][0] < self._spacing[name])):
                continue
            if points and value == points[-1][1]:
                continue
            points = [*points, (at, value)]
            if len(points) > MOST:
                points, self._spacing[name] = points[::2], 2 * self._spacing[name]
            self.curves[name] = points


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
