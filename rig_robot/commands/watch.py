"""`rig watch`: print what arm, goal, trainer and recorder do, and send the operator's heartbeat."""

from __future__ import annotations

import contextlib
import os
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock, ClockType
from std_msgs.msg import Header

from rig_robot.bringup.other_users import hint
from rig_robot.commands.ros_session import RosSession
from rig_robot.common.message_fields import number, values
from rig_robot.inference.goal_progress import Phase
from rig_robot.ros.qos import COMMAND, LATCHED

HEARTBEAT_PERIOD = 0.1
"""Time between two heartbeats of the operator [s]."""
SILENCE = 5.0
"""Time without an arm status after which `rig watch` says that it hears nothing [s]."""
OFTEN = 2.0
"""Time between two lines about figures that change all the time [s]"""


class Lines:
    """Prints a line where something has changed; of a changing figure, now and then one."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[str, str, float]] = {}  # by subject: kind, text and time of its last line

    def tell(self, subject: str, kind: str, text: str) -> None:
        """Print a line about a subject unless it says the same, or is of the same kind and comes too soon."""
        before, now = self._told.get(subject), time.monotonic()
        if before and (text == before[1] or (kind == before[0] and now - before[2] < OFTEN)):
            return
        self._told[subject] = kind, text, now
        print(f"{time.strftime('%H:%M:%S')}  {subject:<9} {text}", flush=True)


def watch(namespace: str = "", seconds: float = float("inf")) -> None:
    """Print what changes and send the operator's heartbeat, for `seconds` or until Ctrl-C.

    If the arm node's parameter `heartbeat` is set, the arm stops when the heartbeat ends.
    """
    with RosSession("rig_watch_command", namespace, seconds) as session:
        lines, arm_heard, policy_warned = Lines(), False, False

        def hear_arm(status: DiagnosticStatus) -> None:
            nonlocal arm_heard
            said, arm_heard = values(status), True
            text = f"{said['state']}: {said['reason']}".removesuffix(": ")
            lines.tell("arm", text, text)

        def hear_goal(status: DiagnosticStatus) -> None:
            lines.tell("goal", status.message, status.message)

        def hear_distance(status: DiagnosticStatus) -> None:
            if (state := values(status).get("state", "")) != Phase.WAITING:
                lines.tell("distance", state, status.message)

        def hear_trainer(status: DiagnosticStatus) -> None:
            said = values(status)
            eta = number(said, "eta_s")
            left = f", about {eta / 60:.0f} min" if eta >= 90 else f", about {eta:.0f} s" if eta > 0 else ""
            lines.tell("trainer", said.get("phase", ""), f"{status.message}{left}")

        def hear_nodes(message: DiagnosticArray) -> None:
            nonlocal policy_warned
            for status in message.status:
                if status.name == f"{namespace.strip('/')}/recorder".lstrip("/"):
                    lines.tell("recorder", status.message, status.message)
                elif status.name == f"{namespace.strip('/')}/policy".lstrip("/"):
                    warns = status.level != DiagnosticStatus.OK
                    if warns or policy_warned:  # such as an object that is gone, and that it is back
                        lines.tell("policy", status.message if warns else "", status.message)
                    policy_warned = warns

        def beat() -> None:
            heartbeat.publish(Header(stamp=session.node.get_clock().now().to_msg(), frame_id="operator"))

        node = session.node
        heartbeat = node.create_publisher(Header, "rig/operator/heartbeat", COMMAND)
        node.create_subscription(DiagnosticStatus, "rig/arm/status", hear_arm, LATCHED)
        node.create_subscription(DiagnosticStatus, "rig/goal/status", hear_goal, LATCHED)
        node.create_subscription(DiagnosticStatus, "rig/goal/progress", hear_distance, LATCHED)
        node.create_subscription(DiagnosticStatus, "rig/trainer/progress", hear_trainer, LATCHED)
        node.create_subscription(DiagnosticArray, "/diagnostics", hear_nodes, 10)
        node.create_timer(HEARTBEAT_PERIOD, beat, clock=Clock(clock_type=ClockType.STEADY_TIME))
        with contextlib.suppress(KeyboardInterrupt):
            if not session.until(lambda: arm_heard, min(seconds, SILENCE)):
                silent = "nothing of an arm heard yet: is the system running in this ROS domain?"
                print(f"{silent}{hint(os.environ)}", flush=True)
            session.until(lambda: False)
