"""What controllers take: a filtered command as the message of each interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from geometry_msgs.msg import TwistStamped
from rclpy.duration import Duration
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from rig_robot.robot.safety import Command, JointCommand, TwistCommand


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
    """joint_trajectory_controller: one point, two periods ahead, with the velocity there.

    Two periods: long enough to bridge a late command, short enough that a dead node leaves the arm still.
    """

    message, topic = JointTrajectory, "joint_trajectory_controller/joint_trajectory"

    def __init__(self, joints: Sequence[str], period: float) -> None:
        self._joints = list(joints)
        self._horizon = Duration(seconds=2.0 * period).to_msg()

    def write(self, command: Command, stamp: Any) -> JointTrajectory:
        assert isinstance(command, JointCommand)
        point = JointTrajectoryPoint(positions=command.position.tolist(), velocities=command.velocity.tolist())
        point.time_from_start = self._horizon
        # Stamp 0: now. Clocks of two machines need not agree for an arm to move in time.
        return JointTrajectory(joint_names=self._joints, points=[point])


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
