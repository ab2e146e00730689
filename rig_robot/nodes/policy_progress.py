"""Reports on `rig/goal/progress` how far the goal is and whether it is reached, for the policy node."""

from __future__ import annotations

import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus

from rig_robot.inference.goal_progress import GoalProgress, Phase, Ruler
from rig_robot.inference.latent import Latent
from rig_robot.inference.policy_pairs import Pairs
from rig_robot.messages.diagnostics import OK, WARN, diagnostic
from rig_robot.nodes.policy_goals import Goals
from rig_robot.ros.node import RigNode
from rig_robot.ros.qos import LATCHED

PERIOD = 0.2
"""Between two reports while nothing changes [s]"""
BLIND = 1.0
"""Time without a latent after which nothing is known of the distance [s]"""


class ProgressReporter:
    """Follows the distance to the goal while the policy is in mode reach.

    Args:
        node: The policy node.
        pairs: The policies that the node holds, each with its goal.
        goals: Name the goal.
    """

    def __init__(self, node: RigNode, pairs: Pairs, goals: Goals) -> None:
        self._node, self._pairs, self._goals = node, pairs, goals
        tool = node.declare(
            "reached_distance", 10.0, "Tool's distance at which a goal is reached [mm].", low=0.1, high=1000.0
        )
        object_ = node.declare(
            "reached_object_distance",
            30.0,
            "Object's distance at which a goal with an object is reached [mm]; the tool's does not count then.",
            low=0.1,
            high=1000.0,
        )
        self._near = {False: tool, True: object_}
        self._patience = node.declare(
            "stalled_after", 3.0, "Time without getting nearer after which the arm is stalled [s].", low=0.1, high=600.0
        )
        self._publisher = node.publisher(DiagnosticStatus, "rig/goal/progress", LATCHED)
        self._goal = 0
        self._phase: Phase | None = None
        self._began = self._seen = self._told = 0.0  # steady clock [s]
        self._text, self._values = "", dict[str, object]()
        node.every(PERIOD, self._look)

    def see(self, found: Latent) -> None:
        """Take the latent that the policy acts on in mode reach."""
        pair = self._pairs.of(found)
        if pair.goal is None:
            return
        now, ruler = time.monotonic(), Ruler(pair.policy.config)
        if self._goals.stamp != self._goal:
            self._goal, self._began = self._goals.stamp, now
            self._progress = GoalProgress(self._near[ruler.has_object], self._patience)
        self._seen = now
        tool = ruler.tool_mm(found.mean, pair.goal.mean)
        counts = ruler.object_mm(found.mean, pair.goal.mean) if ruler.has_object else tool
        about = "" if ruler.exact else "about "
        what = f"object {counts:.0f} mm off, tool {tool:.0f}" if ruler.has_object else f"{about}{tool:.0f} mm off"
        self._values = {
            "distance": f"{np.linalg.norm(found.mean - pair.goal.mean):.4f}",
            "tool [mm]": f"{tool:.1f}",
            "exact": ruler.exact,
        }
        if ruler.has_object:
            self._values["object [mm]"] = f"{counts:.1f}"
        phase = self._progress.update(now, counts)
        stuck = f", no nearer for {self._patience:g} s: is the arm armed, and free to move?"
        self._say(phase, what + (stuck if phase is Phase.STALLED else ""))

    def _look(self) -> None:
        """Say so where there is nothing to follow, or no latents arrive."""
        mode = self._node.get_parameter("mode").value
        shown = mode == "practice" and self._goals.kind == "shown"  # a goal that a person shows comes first
        if not self._goals.stamp or not (mode == "reach" or shown):
            self._goal, self._values, self._seen = 0, {}, time.monotonic()
            self._say(Phase.WAITING, f"the policy's mode is {mode}, not reach" if self._goals.stamp else "no goal")
        elif time.monotonic() - self._seen > BLIND:
            self._say(Phase.BLIND, "no latents arrive: do camera and encoder run?")

    def _say(self, phase: Phase, what: str) -> None:
        """Publish a change at once, and the same phase every `PERIOD`."""
        now = time.monotonic()
        same = phase is self._phase and (now - self._told < PERIOD or what == self._text)
        if same:
            return
        self._phase, self._text, self._told = phase, what, now
        values = {"state": phase.value, "goal": self._goal, **self._values}
        if self._goal:
            values["seconds"] = f"{now - self._began:.1f}"
        level = WARN if phase in (Phase.STALLED, Phase.BLIND) else OK
        self._publisher.publish(diagnostic("goal progress", level, f"{phase.value}: {what}", values))
