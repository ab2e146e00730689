"""Lets the simulated robot practise pushing by itself, then shows it goals of tool and puck and measures both."""

from __future__ import annotations

from rig_robot.ros.node_process import run
from rig_sim.practice_node import PracticeNode
from rig_sim.push_goals_node import PushGoalsNode


class PushPracticeNode(PracticeNode, PushGoalsNode):
    """Practises as `PracticeNode` does, and shows goals as `PushGoalsNode` does."""


def main() -> None:
    """Run the node."""
    run(PushPracticeNode)


if __name__ == "__main__":
    main()
