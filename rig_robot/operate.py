"""`rig tell`: arm, stop, park and the policy's modes, where there is no `ros2` command."""

from __future__ import annotations

from typing import Any, NamedTuple

from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

from rig_robot.visit import NobodyThere, Visit

SERVICES: dict[str, tuple[type, str, Any]] = {
    "arm": (SetBool, "arm/arm", SetBool.Request(data=True)),
    "disarm": (SetBool, "arm/arm", SetBool.Request(data=False)),
    "stop": (Trigger, "arm/estop", Trigger.Request()),
    "reset": (Trigger, "arm/reset_estop", Trigger.Request()),
    "park": (Trigger, "arm/park", Trigger.Request()),
}
"""What the arm node is asked for each word; the other words are modes of the policy node."""


class Outcome(NamedTuple):
    """What came of a word."""

    done: bool
    text: str


def tell(word: str, namespace: str = "", timeout: float = 10.0) -> Outcome:
    """Tell a running system one thing, a word of `SERVICES` or a mode of the policy, and return what it answered."""
    with Visit("rig_tell_command", namespace, timeout) as visit:
        try:
            if word in SERVICES:
                answer = visit.call(*SERVICES[word])
                return Outcome(answer.success, answer.message)
            request = SetParameters.Request(parameters=[Parameter("mode", value=word).to_parameter_msg()])
            result = visit.call(SetParameters, "policy/set_parameters", request).results[0]
            return Outcome(result.successful, result.reason or f"mode {word}")
        except NobodyThere as error:
            return Outcome(False, str(error))
