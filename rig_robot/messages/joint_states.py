"""Reads an arm's joint positions out of `sensor_msgs/JointState`, whatever the order of its names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sensor_msgs.msg import JointState


class BadJointState(ValueError):
    """A joint state does not say where the joints are; the text says why."""


class JointStateReader:
    """Finds an arm's joints in joint states; their place is looked up anew where the names have changed.

    Args:
        joints: Names of the arm's n joints.
    """

    def __init__(self, joints: Sequence[str]) -> None:
        self._joints = joints
        self._names: list[str] | None = None
        self._places: list[int] = []

    def read(self, message: JointState) -> np.ndarray | None:
        """Return the positions, [n] rad, as they stand there; None if the message is of other joints.

        Raises:
            BadJointState: If a joint is named twice, or names and positions differ in number.
        """
        if self._names != message.name:
            names = list(message.name)
            if not set(self._joints) <= set(names):
                return None  # of a gripper or another robot; this arm's own missing ones are noticed as stale
            if twice := [joint for joint in self._joints if names.count(joint) > 1]:
                raise BadJointState(f"joint_states names {', '.join(twice)} more than once: refused")
            self._names, self._places = names, [names.index(joint) for joint in self._joints]
        if len(message.position) != len(message.name):
            raise BadJointState(
                f"joint_states has {len(message.name)} names and {len(message.position)} positions: refused"
            )
        return np.array(message.position)[self._places]
