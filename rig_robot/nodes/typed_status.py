"""Says the statuses of arm, goal and trainer once more as typed messages, for those who want no key-value pairs.

`ros2 run rig_robot typed_status`, or `python -m rig_robot.nodes.typed_status`, beside a running system.
"""

from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from rig_robot.messages.diagnostics import OK, WARN
from rig_robot.messages.typed_status import INSTALLED, TYPED, Malformed
from rig_robot.ros.node import BadParameter, RigNode
from rig_robot.ros.node_process import run
from rig_robot.ros.qos import LATCHED


class TypedStatusNode(RigNode):
    """`rig/arm/status` -> `rig/arm/status/typed`, and so on."""

    def __init__(self) -> None:
        super().__init__("typed_status")
        if not INSTALLED:
            raise BadParameter("rig_robot_interfaces is not installed: make interfaces, or build it with colcon")
        self._said: dict[str, int] = {}
        self._trouble = ""
        for topic, (kind, convert) in TYPED.items():
            publisher = self.publisher(kind, f"{topic}/typed", LATCHED)
            self.subscribe(DiagnosticStatus, topic, partial(self._say, topic, publisher, convert), LATCHED)

    def _say(self, topic: str, publisher: Any, convert: Any, status: DiagnosticStatus) -> None:
        try:
            publisher.publish(convert(status))
        except Malformed as error:
            self._trouble = f"{topic}: {error}"
            self.get_logger().warning(self._trouble, throttle_duration_sec=10.0)
        else:
            self._said[topic] = self._said.get(topic, 0) + 1

    def health(self) -> tuple[bytes, str, dict[str, Any]]:
        """Return how many messages of each topic were said."""
        return WARN if self._trouble else OK, self._trouble or "running", dict(self._said)


def main() -> None:
    run(TypedStatusNode)


if __name__ == "__main__":
    main()
