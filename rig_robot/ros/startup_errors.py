"""Turns what rcl raises while ROS starts into one line for the person whose environment it is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from rclpy._rclpy_pybind11 import RCLError

from rig_robot.bringup.ros_environment import obstacles


class RosNotStarted(ValueError):
    """ROS 2 cannot start here; the text says which environment variable to set, or why in rcl's words."""


@contextmanager
def startup_errors() -> Iterator[None]:
    """Start ROS 2 in this block: initialise rclpy or create a node.

    Raises:
        RosNotStarted: Where rcl cannot.
    """
    try:
        yield
    except RCLError as error:
        obstacle = next(obstacles(os.environ), None)
        # rcl appends where in its sources the error came from
        why = " ".join(re.sub(r",? at \S+:\d+", "", str(error)).split())
        if "Sequence should be of same type" in why:
            why += " (the numbers of a list must be all whole, or all with a point)"
        raise RosNotStarted(obstacle.line() if obstacle else f"ROS 2 cannot start: {why}") from None
