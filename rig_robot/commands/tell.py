"""`rig tell`: send one command to a running robot without the `ros2` command, and return the robot's answer."""

from __future__ import annotations

from typing import Any, NamedTuple

from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

from rig_robot.commands.ros_session import NoAnswerError, RosSession
from rig_robot.common.modes import Mode

SERVICES: dict[str, tuple[type, str, Any]] = {
    "arm": (SetBool, "arm/set_armed", SetBool.Request(data=True)),
    "disarm": (SetBool, "arm/set_armed", SetBool.Request(data=False)),
    "stop": (Trigger, "arm/estop", Trigger.Request()),
    "reset": (Trigger, "arm/reset_estop", Trigger.Request()),
    "park": (Trigger, "arm/park", Trigger.Request()),
    "clear": (Trigger, "goal/clear", Trigger.Request()),
    "recorder resume": (SetBool, "recorder/record", SetBool.Request(data=True)),
    "recorder pause": (SetBool, "recorder/record", SetBool.Request(data=False)),
    "trainer resume": (SetBool, "trainer/train", SetBool.Request(data=True)),
    "trainer pause": (SetBool, "trainer/train", SetBool.Request(data=False)),
    "trainer fine-tune": (Trigger, "trainer/fine_tune", Trigger.Request()),
}
"""Service and request of each command; every other command is a mode of the policy node."""

ONCE = ("arm", "park", Mode.REACH, Mode.EXPLORE, Mode.PRACTICE)
"""Commands that may set the arm in motion. They are never sent twice: somebody may have stopped the arm meanwhile."""


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
