"""Shows the robot random goal images of tool and puck, and measures the true distances of both at the end of each."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.qos import QoSProfile, ReliabilityPolicy

from rig_robot.checkpoints.config import WorkspaceEntry
from rig_robot.learning.training.metrics import push_sentence, push_summary
from rig_robot.ros.node_process import run
from rig_sim.goals_node import GoalsNode
from rig_sim.procedure import Procedure
from rig_sim.push_world import PushWorld, random_goal


class PushGoalsNode(GoalsNode):
    """As `GoalsNode`; a goal is x and y of the tool, and x and y of the puck [4] m."""

    longest = 12.0
    _world: PushWorld

    def __init__(self, name: str = "sim_push_goals") -> None:
        super().__init__(name)
        self._puck: np.ndarray | None = None
        qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
        self.subscribe(PoseStamped, "sim/object_pose", self._take_puck, qos)

    def _procedure(self) -> Procedure[None]:
        yield from self._wait_for(lambda: self._puck is not None, "the simulation's object pose")
        yield from super()._procedure()

    def _take_puck(self, message: PoseStamped) -> None:
        self._puck = np.array([message.pose.position.x, message.pose.position.y])

    def make_world(self) -> PushWorld:
        """Return the world that goals are drawn in, with its puck."""
        return PushWorld()

    def draw_goal(self, rng: np.random.Generator, workspace: WorkspaceEntry) -> np.ndarray:
        """Return a random goal [4] m, as the environment draws it."""
        self._height = workspace.low[2]
        return random_goal(rng, np.array(workspace.low), np.array(workspace.high))

    def at_goal(self, goal: np.ndarray) -> mujoco.MjData:
        """Return the world's state in which a goal is achieved."""
        return self._world.with_puck_at_rest(self.joints_at(np.append(goal[:2], self._height)), goal[2:])

    def distances_mm(self, goal: np.ndarray) -> tuple[float, ...]:
        """Return the true distances of puck and tool [mm]."""
        assert self._puck is not None
        puck, tool = self._puck - goal[2:], self.tool_position()[:2] - goal[:2]
        return 1000 * float(np.linalg.norm(puck)), 1000 * float(np.linalg.norm(tool))

    def told(self, distances: tuple[float, ...]) -> str:
        """Return a goal's distances [mm] for people."""
        puck, tool = distances
        return f"puck {puck:6.1f} mm, tool {tool:6.1f} mm"

    def results(self, seconds: list[float], distances: list[tuple[float, ...]]) -> tuple[dict[str, Any], str]:
        """Return the figures of all goals, and a line of them for people."""
        puck, tool = zip(*distances, strict=True)
        figures = push_summary(puck, tool)
        each = [
            {"seconds": round(took, 2), "object_mm": round(first, 2), "tool_mm": round(second, 2)}
            for took, first, second in zip(seconds, puck, tool, strict=True)
        ]
        return figures | {"each": each}, push_sentence(figures)


def main() -> None:
    """Run the node."""
    run(PushGoalsNode)


if __name__ == "__main__":
    main()
