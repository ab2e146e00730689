"""Reinforcement learning with Imagined Goals on a real arm: ROS 2 nodes, learning and the tools around them."""

__version__ = "0.1.0"
