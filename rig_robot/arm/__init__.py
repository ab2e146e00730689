"""Moves an arm safely, without ROS and torch: kinematics, safety filter, supervisor."""
