"""An arm for tests of the real arm node: it exists as joint states alone, and is at once where it is told to be."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from ros_harness import Listener
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory

from rig_robot.arm.kinematics import Kinematics
from rig_robot.common.message_fields import values
from rig_robot.ros.qos import COMMAND, LATCHED

PERIOD = 0.01
"""Time between two joint states [s]."""


class ObedientArm:
    """Publishes joint states, sends twists, and keeps what the arm node says, which runs already.

    Args:
        listener: The node of the test.
        parameters: Those of the arm node that name its joints, topics and base frame.
        kinematics: The arm's.
        start: Joint positions before the first command [rad].
        kind: Type of the commands.
        topic: Their topic; `parameters` say it where none is given.
        namespace: The robot's, with a slash at its end.
    """

    def __init__(
        self,
        listener: Listener,
        parameters: Mapping[str, Any],
        kinematics: Kinematics,
        start: np.ndarray,
        kind: type = JointTrajectory,
        topic: str = "",
        namespace: str = "",
    ) -> None:
        self.listener, self.kinematics, self.namespace = listener, kinematics, namespace
        self.names, self.frame = list(parameters["joints"]), str(parameters["base_frame"])
        topic = namespace + (topic or parameters["command_topic"])
        states, twists = namespace + parameters["joint_states_topic"], f"{namespace}rig/policy/twist"
        self.commands = listener.hear(kind, topic, COMMAND)
        self.statuses = listener.hear(DiagnosticStatus, f"{namespace}rig/arm/status", LATCHED)
        self.states = listener.node.create_publisher(JointState, states, COMMAND)
        self.twists = listener.node.create_publisher(TwistStamped, twists, COMMAND)
        self.start, self.joints = start.copy(), start.copy()
        self.random = np.random.default_rng(0)
        self.stamp: Callable[[], Time] = lambda: listener.node.get_clock().now().to_msg()
        listener.node.create_timer(PERIOD, self.tell)
        for name in (twists, states, topic):
            listener.until_heard(name, publishers=1, subscribers=1)

    def tell(self) -> None:
        """Publish joint states; an arm that takes positions is at its last command."""
        if self.commands and (told := joint_command(self.commands[-1])) is not None:
            self.joints = told
        tremble = self.random.normal(0.0, 1e-6, len(self.names))  # as every real encoder does
        message = JointState(name=self.names, position=(self.joints + tremble).tolist())
        message.header.stamp = self.stamp()
        self.states.publish(message)

    def arm(self) -> None:
        def armed() -> bool:
            service = f"{self.namespace}arm/set_armed"
            return self.listener.call(SetBool, service, SetBool.Request(data=True)).success

        self.listener.until(armed, "the arm is armed")

    def drive(self, seconds: float, x: float, y: float) -> None:
        for _ in range(round(seconds / 0.05)):
            message = TwistStamped()
            message.header.frame_id = self.frame
            message.header.stamp = self.stamp()
            message.twist.linear.x, message.twist.linear.y = x, y
            self.twists.publish(message)
            self.listener.spin(0.05)

    def drive_until(self, condition: Callable[[], Any], what: str, x: float, y: float) -> None:
        """Drive until `condition` holds: where the machine stands still for a moment, the arm waits."""
        end = time.monotonic() + 30.0
        while not condition():
            assert time.monotonic() < end, f"after 30 s still not: {what}; {self.path()[-1]}"
            self.drive(0.05, x, y)

    def path(self) -> np.ndarray:
        """Return where the tool was told to be, from where it began [N, 3] m; the beginning is the first of them."""
        told = [self.start, *map(joint_command, self.commands)]
        return np.array([self.kinematics.forward(q) for q in told if q is not None]) - self.kinematics.forward(
            self.start
        )

    def state(self) -> dict[str, str]:
        return values(self.statuses[-1])


def joint_command(message: object) -> np.ndarray | None:
    """Return the joint positions that a command asks for at once [rad]; None where it asks for a twist."""
    if isinstance(message, JointTrajectory):
        return np.array(message.points[0].positions)
    return np.array(message.data) if isinstance(message, Float64MultiArray) else None
