"""Keeps what the trainer has reported since the console started, for the learning curve of the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rig_robot.checkpoints.config import CheckpointConfig
from rig_robot.common.message_fields import number

CURVES = {"vae/squared_error": "VAE: squared error", "critic_loss": "policy: critics' loss"}
"""Losses that are drawn, by the trainer's name of each, with what the page calls it."""
MOST = 600
"""Points that are kept of a curve; a fuller one loses every second point."""

DISTANCE = "mean_mm"
"""Figure of a checkpoint that says how far from its goals the tool ended [mm], where it was judged by reaching."""
BEFORE = 60.0
"""Time before the first checkpoint of a practice at which the one that it began from is drawn [s]."""


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
            value = number(said, name)
            if not math.isfinite(value) or (points and (at - points[-1][0] < self._spacing[name])):
                continue
            if points and value == points[-1][1]:
                continue
            points = [*points, (at, value)]
            if len(points) > MOST:
                points, self._spacing[name] = points[::2], 2 * self._spacing[name]
            self.curves[name] = points


def judged(configs: Sequence[CheckpointConfig]) -> list[tuple[float, float]]:
    """Return when each checkpoint that was judged by reaching was made [s, since 1970], and its distance [mm].

    A practice may begin from a checkpoint that is months old, which would squeeze all that is new: it is drawn just
    before the first new one, and alone not at all.

    Args:
        configs: The checkpoints of a root, in order of time.
    """
    made = [
        (datetime.fromisoformat(config.created).timestamp(), float(config.figures[DISTANCE]), bool(config.parent))
        for config in configs
        if DISTANCE in config.figures
    ]
    new = [(at, distance) for at, distance, has_parent in made if has_parent]
    old = [distance for _, distance, has_parent in made if not has_parent]
    return [(new[0][0] - BEFORE, old[-1]), *new] if new and old else new
