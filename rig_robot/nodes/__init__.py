"""The ROS 2 nodes, one a file; the thinking is in the layers below."""

from rig_robot.common import interrupts

interrupts.end_nodes_at_once()
