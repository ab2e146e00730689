"""`rig tell` and `rig watch`: what a person says to a running robot and hears of it, without the `ros2` command."""

from __future__ import annotations

from typing import Any, NamedTuple

from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

from rig_robot.commands.ros_session import NobodyThere, Visit

SERVICES: dict[str, tuple[type, str, Any]] = {
    "arm": (SetBool, "arm/arm", SetBool.Request(data=True)),
    "disarm": (SetBool, "arm/arm", SetBool.Request(data=False)),
    "stop": (Trigger, "arm/estop", Trigger.Request()),
    "reset": (Trigger, "arm/reset_estop", Trigger.Request()),
    "park": (Trigger, "arm/park", Trigger.Request()),
    "clear": (Trigger, "goal/clear", Trigger.Request()),
    "record": (SetBool, "recorder/record", SetBool.Request(data=True)),
    "pause": (SetBool, "recorder/record", SetBool.Request(data=False)),
    "train": (SetBool, "trainer/train", SetBool.Request(data=True)),
    "rest": (SetBool, "trainer/train", SetBool.Request(data=False)),
    "fine-tune": (Trigger, "trainer/fine_tune", Trigger.Request()),
}
"""Who is asked what for each word; the other words are modes of the policy node."""


ONCE = ("arm", "park", "reach", "explore", "practice")
"""Words that may set the arm in motion: never said again, since somebody else may have stopped it meanwhile."""


class Outcome(NamedTuple):
    """What came of a word."""

    done: bool
    text: str


def tell(word: str, namespace: str = "", timeout: float = 10.0) -> Outcome:
    """Tell a running system one thing, a word of `SERVICES` or a mode of the policy, and return what it answered."""
    with Visit("rig_tell_command", namespace, timeout) as visit:
        try:
            if word in SERVICES:
                answer = visit.call(*SERVICES[word], repeat=word not in ONCE)
                return Outcome(answer.success, answer.message)
            request = SetParameters.Request(parameters=[Parameter("mode", value=word).to_parameter_msg()])
            result = visit.call(SetParameters, "policy/set_parameters", request, repeat=word not in ONCE).results[0]
            return Outcome(result.successful, result.reason or f"mode {word}")
        except NobodyThere as error:
            return Outcome(False, str(error))


SILENCE = 5.0
"""Time after which `rig watch` says that it hears nothing [s]."""
