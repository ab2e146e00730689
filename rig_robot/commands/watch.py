"""Print the arm's status and send the operator's heartbeat: `rig watch`."""

from __future__ import annotations

import contextlib
import os

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.clock import Clock, ClockType
from std_msgs.msg import Header

from rig_robot.bringup.other_users import hint
from rig_robot.commands.ros_session import Visit
from rig_robot.commands.tell import SILENCE
from rig_robot.ros.qos import COMMAND, LATCHED

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
