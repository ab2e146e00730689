"""What controllers take: a filtered command as the message of each interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import TwistStamped
from rclpy.duration import Duration
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from rig_robot.arm.commands import Command, JointCommand, TwistCommand, Vector


class Interface(ABC):
    """One way to command an arm.

    Attributes:
        message: The type of its messages.
        topic: Where the usual controller listens.
    """

    message: type
    topic: str

    @abstractmethod
    def write(self, command: Command, stamp: Any) -> Any:
        """Return a command as a message.

        Args:
            command: What the filter has let pass.
            stamp: `builtin_interfaces/Time` now.
        """


class JointTrajectoryInterface(Interface):
    """joint_trajectory_controller: where to be two periods ahead, how fast, and from there to rest.

    Two periods bridge a command that comes late. One that does not come at all, since the node is dead, leaves an arm
    that brakes as its joints may; and controllers take only trajectories that end at rest.
    """

    message, topic = JointTrajectory, "joint_trajectory_controller/joint_trajectory"

    def __init__(self, joints: Sequence[str], period: float) -> None:
        self._joints = list(joints)
        self._ahead = 2.0 * period

    def write(self, command: Command, stamp: Any) -> JointTrajectory:
        assert isinstance(command, JointCommand)
        last = self._point(command.rest, np.zeros_like(command.rest), self._ahead + command.braking)
        points = [self._point(command.position, command.velocity, self._ahead), last] if command.braking else [last]
        # Stamp 0: now. Clocks of two machines need not agree for an arm to move in time.
        return JointTrajectory(joint_names=self._joints, points=points)

    @staticmethod
    def _point(position: Vector, velocity: Vector, seconds: float) -> JointTrajectoryPoint:
        point = JointTrajectoryPoint(positions=position.tolist(), velocities=velocity.tolist())
        point.time_from_start = Duration(seconds=seconds).to_msg()
        return point


class JointPositionInterface(Interface):
    """forward_command_controller: joint positions, held until the next."""

    message, topic = Float64MultiArray, "forward_position_controller/commands"

    def write(self, command: Command, stamp: Any) -> Float64MultiArray:
        assert isinstance(command, JointCommand)
        return Float64MultiArray(data=command.position.tolist())


class TwistInterface(Interface):
    """MoveIt Servo: the tool's velocity in the base frame, stamped now; a stop is a zero."""

    message, topic = TwistStamped, "servo_node/delta_twist_cmds"

    def __init__(self, base_frame: str) -> None:
        self._base_frame = base_frame

    def write(self, command: Command, stamp: Any) -> TwistStamped:
        assert isinstance(command, TwistCommand)
        message = TwistStamped()
        message.header.stamp, message.header.frame_id = stamp, self._base_frame
        linear, angular = message.twist.linear, message.twist.angular
        linear.x, linear.y, linear.z = command.linear.tolist()
        angular.x, angular.y, angular.z = command.angular.tolist()
        return message


COMMANDS = {
    "joint_trajectory": ("joint_trajectory_controller/joint_trajectory", "trajectory_msgs/msg/JointTrajectory"),
    "joint_position": ("forward_position_controller/commands", "std_msgs/msg/Float64MultiArray"),
    "twist": ("servo_node/delta_twist_cmds", "geometry_msgs/msg/TwistStamped"),
}
"""Usual topic and type of each interface's commands, as `controllers.py` has them; that needs MuJoCo."""
