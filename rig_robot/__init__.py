"""Reinforcement learning with Imagined Goals on a real arm: ROS 2 nodes, learning and the tools around them."""

__version__ = "0.1.0"

from rig_robot.common import starter as starter  # notes who started this process, before the long imports
