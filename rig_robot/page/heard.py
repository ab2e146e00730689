"""Holds what the page knows of the running system. The node writes it as messages arrive; the page reads it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from rig_robot.page.learning_curve import LearningCurve

SILENT = 3.0
"""Time after which a node that reports once a second counts as silent [s]."""
SILENT_ARM = 2.0
"""The same for the arm's status, which comes every half second [s]."""
HISTORY = 60.0
"""Time for which distances to the goal are kept [s]."""
PATH = 20.0
"""Time for which the tool's path is kept [s]."""
PATH_STEP = 0.002
"""Distance between two points of that path [m]."""

NODES = ("camera", "encoder", "goal", "policy", "arm", "recorder", "trainer", "receiver")
"""Nodes of a robot, in the order in which the page lists them; all others come after them."""


class Health(NamedTuple):
    """A node's last report on /diagnostics."""

    level: int
    """0: all is well, 1: a warning, 2: an error"""
    text: str
    values: Mapping[str, str]
    at: float
    """when it was heard [s, steady clock]"""

    @property
    def silence(self) -> float:
        """How long ago it was heard [s]."""
        return time.monotonic() - self.at


class ArmState(NamedTuple):
    """The arm's last status."""

    state: str
    reason: str
    at: float
    """when it was heard [s, steady clock]"""

    @property
    def silent(self) -> bool:
        """Whether the arm node has gone."""
        return time.monotonic() - self.at > SILENT_ARM


class Distance(NamedTuple):
    """How far the goal was at a time."""

    at: float
    """[s, steady clock]"""
    latent: float
    tool_mm: float
    object_mm: float
    """NaN where there is no object"""


@dataclass
class Heard:
    """The newest of everything. Each field is replaced whole, so that another thread may read it at any time."""

    arm: ArmState = field(default_factory=lambda: ArmState("", "", -1e9))
    health: dict[str, Health] = field(default_factory=dict)
    progress: str = ""
    phase: str = ""
    distances: deque[Distance] = field(default_factory=lambda: deque(maxlen=600))
    trainer: Mapping[str, str] = field(default_factory=dict)
    trainer_text: str = ""
    learning: LearningCurve = field(default_factory=LearningCurve)
    goal_answer: tuple[int, str] = (0, "")
    """level and text of the goal node's last answer"""
    goal_name: int = 0
    """the goal's name [ns]; 0: there is none"""
    tool: np.ndarray | None = None
    """where the tool is [3] m, base frame"""
    path: deque[tuple[float, np.ndarray]] = field(default_factory=lambda: deque(maxlen=2000))
    """where it has been lately: times [s, steady clock] and places [3] m"""
    joints: Mapping[str, float] = field(default_factory=dict)
    """joint positions [rad]"""
    latent: np.ndarray | None = None
    goal_latent: np.ndarray | None = None
    parameters: dict[str, dict[str, object]] = field(default_factory=dict)
    """by node: the parameters that it has answered with"""

    def hear_tool(self, place: np.ndarray) -> None:
        """Take the tool's place [3] m, and make it part of the path if it has moved."""
        now = time.monotonic()
        self.tool = place
        if not self.path or float(np.linalg.norm(place - self.path[-1][1])) > PATH_STEP:
            self.path.append((now, place))

    def recent_path(self) -> list[list[float]]:
        """Return where the tool has been lately, [x, y, z] m each."""
        begin = time.monotonic() - PATH
        return [place.tolist() for at, place in list(self.path) if at > begin]

    def recent_distances(self) -> list[Distance]:
        """Return the distances to the goal that are not older than `HISTORY`."""
        begin = time.monotonic() - HISTORY
        return [distance for distance in list(self.distances) if distance.at > begin]

    def mode(self) -> str:
        """Return the policy's mode; empty where the policy is silent."""
        policy = self.health.get("policy")
        return policy.values.get("mode", "") if policy and policy.silence < SILENT else ""

    def parameter(self, node: str, name: str) -> object:
        """Return a parameter of a node; None where the node has not said it."""
        return self.parameters.get(node, {}).get(name)

    def nodes(self) -> list[tuple[str, Health]]:
        """Return each node that was heard and its last report, in the order of `NODES`."""
        order = {name: index for index, name in enumerate(NODES)}
        return sorted(dict(self.health).items(), key=lambda item: (order.get(item[0], len(order)), item[0]))
