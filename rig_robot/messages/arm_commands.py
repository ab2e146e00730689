"""Turns filtered commands into the messages of each interface that an arm's controller may have.

`INTERFACES` is the one list of interfaces: the arm node, the recorder and `rig doctor` all read it. A new interface is
a class here and a line there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from geometry_msgs.msg import TwistStamped
from rclpy.duration import Duration
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from rig_robot.arm.commands import Command, JointCommand, TwistCommand, Vector

AHEAD = 2.0
"""How far ahead of now a command's joint positions are [periods of the arm node]: it bridges a command that is late."""


class Interface(ABC):
    """One way to command an arm.

    Attributes:
        message: The type of its messages.
        topic: Topic on which the usual controller listens.
        controller: Name of that controller, for people.
        takes: The kind of command that it turns into messages.
        brakes: Whether its messages bring the arm to rest where no further message follows.
        lowest_rate: Commands a second that the controller needs at least [Hz].
        settings: Parameters of the controller that must be true where it has them; `rig doctor` asks for them.

    Args:
        joints: Names of the arm's joints.
        period: Time between two commands [s].
        base_frame: Frame of the twists.
    """

    message: ClassVar[type]
    topic: ClassVar[str]
    controller: ClassVar[str]
    takes: ClassVar[type[Command]]
    brakes: ClassVar[bool] = False
    lowest_rate: ClassVar[float] = 0.0
    settings: ClassVar[tuple[str, ...]] = ()

    def __init__(self, joints: Sequence[str], period: float, base_frame: str) -> None:
        self._joints, self._ahead, self._base_frame = list(joints), AHEAD * period, base_frame

    @classmethod
    def type_name(cls) -> str:
        """Return the ROS name of the messages' type, such as `std_msgs/msg/Float64MultiArray`."""
        return f"{cls.message.__module__.split('.')[0]}/msg/{cls.message.__name__}"

    @abstractmethod
    def write(self, command: Command, stamp: Any, late: float) -> Any:
        """Return a command as a message.

        Args:
            command: The command that the filter has let pass.
            stamp: `builtin_interfaces/Time` now.
            late: For how long it has been computed [s].
        """


class JointTrajectoryInterface(Interface):
    """Sends the position two periods ahead, the velocity there, and the way from there to rest.

    Two periods bridge a command that comes late. They count from when the command was due, so that the arm goes evenly
    though one command takes longer to compute than another. Where no command comes any more, since the node is dead,
    the arm brakes as its joints may; and controllers take only trajectories that end at rest.
    """

    message, topic = JointTrajectory, "joint_trajectory_controller/joint_trajectory"
    controller, takes, brakes = "joint_trajectory_controller", JointCommand, True
    settings = ("interpolate_from_desired_state",)

    def write(self, command: Command, stamp: Any, late: float) -> JointTrajectory:
        assert isinstance(command, JointCommand)
        ahead = self._ahead - min(max(late, 0.0), self._ahead / AHEAD)
        last = self._point(command.rest, np.zeros_like(command.rest), ahead + command.braking)
        points = [self._point(command.position, command.velocity, ahead), last] if command.braking else [last]
        # Stamp 0: now. Clocks of two machines need not agree for an arm to move in time.
        return JointTrajectory(joint_names=self._joints, points=points)

    @staticmethod
    def _point(position: Vector, velocity: Vector, seconds: float) -> JointTrajectoryPoint:
        point = JointTrajectoryPoint(positions=position.tolist(), velocities=velocity.tolist())
        point.time_from_start = Duration(seconds=seconds).to_msg()
        return point


class JointPositionInterface(Interface):
    """Sends joint positions, which the controller holds until the next."""

    message, topic = Float64MultiArray, "forward_position_controller/commands"
    controller, takes = "forward_command_controller", JointCommand

    def write(self, command: Command, stamp: Any, late: float) -> Float64MultiArray:
        assert isinstance(command, JointCommand)
        return Float64MultiArray(data=command.position.tolist())


class TwistInterface(Interface):
    """Sends the tool's velocity in the base frame, stamped now; zero velocity stops the arm."""

    message, topic = TwistStamped, "servo_node/delta_twist_cmds"
    controller, takes, lowest_rate = "MoveIt Servo", TwistCommand, 50.0

    def write(self, command: Command, stamp: Any, late: float) -> TwistStamped:
        assert isinstance(command, TwistCommand)
        message = TwistStamped()
        message.header.stamp, message.header.frame_id = stamp, self._base_frame
        linear, angular = message.twist.linear, message.twist.angular
        linear.x, linear.y, linear.z = command.linear.tolist()
        angular.x, angular.y, angular.z = command.angular.tolist()
        return message


INTERFACES: dict[str, type[Interface]] = {
    "joint_trajectory": JointTrajectoryInterface,
    "joint_position": JointPositionInterface,
    "twist": TwistInterface,
}
"""Each interface by the value of the parameter `interface` that chooses it."""


def find_interface(name: str) -> type[Interface]:
    """Return an interface by its name.

    Raises:
        ValueError: If there is none of that name; the text says which there are.
    """
    if name not in INTERFACES:
        raise ValueError(f"the arm's interface is {name!r}: must be one of {', '.join(INTERFACES)}")
    return INTERFACES[name]
