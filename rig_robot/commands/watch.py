"""`rig watch`: print the arm's status and send the operator's heartbeat."""

from __future__ import annotations

import contextlib
import os

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.clock import Clock, ClockType
from std_msgs.msg import Header

from rig_robot.bringup.other_users import hint
from rig_robot.commands.ros_session import RosSession
from rig_robot.ros.qos import COMMAND, LATCHED

HEARTBEAT_PERIOD = 0.1
"""Time between two heartbeats of the operator [s]."""
SILENCE = 5.0
"""Time without an arm status after which `rig watch` says that it hears nothing [s]."""


def watch(namespace: str = "", seconds: float = float("inf")) -> None:
    """Print each change of the arm's status and send the operator's heartbeat, for `seconds` or until Ctrl-C.

    If the arm node's parameter `heartbeat` is set, the arm stops when the heartbeat ends.
    """
    with RosSession("rig_watch_command", namespace, seconds) as session:
        told = ""

        def hear(status: DiagnosticStatus) -> None:
            nonlocal told
            values = {item.key: item.value for item in status.values}
            if (text := f"{values['state']}: {values['reason']}".removesuffix(": ")) != told:
                told = text
                print(told, flush=True)

        def beat() -> None:
            heartbeat.publish(Header(stamp=session.node.get_clock().now().to_msg(), frame_id="operator"))

        heartbeat = session.node.create_publisher(Header, "rig/operator/heartbeat", COMMAND)
        session.node.create_subscription(DiagnosticStatus, "rig/arm/status", hear, LATCHED)
        session.node.create_timer(HEARTBEAT_PERIOD, beat, clock=Clock(clock_type=ClockType.STEADY_TIME))
        with contextlib.suppress(KeyboardInterrupt):
            if not session.until(lambda: told, min(seconds, SILENCE)):
                silent = "nothing of an arm heard yet: is the system running in this ROS domain?"
                print(f"{silent}{hint(os.environ)}", flush=True)
            session.until(lambda: False)
