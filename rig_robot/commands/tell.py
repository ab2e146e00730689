"""`rig tell`: send one command to a running robot without the `ros2` command, and return the robot's answer."""

from __future__ import annotations

from typing import NamedTuple

from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter

from rig_robot.commands.ros_session import NoAnswerError, RosSession
from rig_robot.ros.operator_commands import ONCE, SERVICES


class Outcome(NamedTuple):
    """The answer to a command: whether it was carried out, and the node's reason."""

    done: bool
    text: str


def tell(command: str, namespace: str = "", timeout: float = 10.0) -> Outcome:
    """Send a command, a key of `SERVICES` or a mode of the policy node, and return the answer."""
    with RosSession("rig_tell_command", namespace, timeout) as session:
        try:
            if command in SERVICES:
                answer = session.call(*SERVICES[command], repeat=command not in ONCE)
                return Outcome(answer.success, answer.message)
            request = SetParameters.Request(parameters=[Parameter("mode", value=command).to_parameter_msg()])
            response = session.call(SetParameters, "policy/set_parameters", request, repeat=command not in ONCE)
            result = response.results[0]
            return Outcome(result.successful, result.reason or f"mode {command}")
        except NoAnswerError as error:
            return Outcome(False, str(error))
