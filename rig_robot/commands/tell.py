"""`rig tell` and `rig watch`: what a person says to a running robot and hears of it, without the `ros2` command."""

from __future__ import annotations

import contextlib
import os
from typing import Any, NamedTuple

from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.srv import SetParameters
from rclpy.clock import Clock, ClockType
from rclpy.parameter import Parameter
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger

from rig_robot.bringup.other_users import hint
from rig_robot.commands.ros_session import NobodyThere, Visit
from rig_robot.ros.node import COMMAND, LATCHED

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
HEARTBEAT_PERIOD = 0.1
"""Time between two signs of life of the operator [s]."""


def watch(namespace: str = "", seconds: float = float("inf")) -> None:
    """Print what the arm does, and give the operator's heartbeat, for so long [s] or until Ctrl-C.

    With the arm's parameter `heartbeat` set, the end of this stops the arm.
    """
    with Visit("rig_watch_command", namespace, seconds) as visit:
        told = ""

        def hear(status: DiagnosticStatus) -> None:
            nonlocal told
            values = {item.key: item.value for item in status.values}
            if (text := f"{values['state']}: {values['reason']}".removesuffix(": ")) != told:
                told = text
                print(told, flush=True)

        def beat() -> None:
            heartbeat.publish(Header(stamp=visit.node.get_clock().now().to_msg(), frame_id="operator"))

        heartbeat = visit.node.create_publisher(Header, "rig/operator/heartbeat", COMMAND)
        visit.node.create_subscription(DiagnosticStatus, "rig/arm/status", hear, LATCHED)
        visit.node.create_timer(HEARTBEAT_PERIOD, beat, clock=Clock(clock_type=ClockType.STEADY_TIME))
        with contextlib.suppress(KeyboardInterrupt):
            if not visit.until(lambda: told, min(seconds, SILENCE)):
                silent = "nothing of an arm heard yet: is the system running in this ROS domain?"
                print(f"{silent}{hint(os.environ)}", flush=True)
            visit.until(lambda: False)
