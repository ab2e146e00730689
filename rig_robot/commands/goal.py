"""`rig goal`: publish a picture as the goal and wait for what the robot says to it."""

from __future__ import annotations

import array
import os
from pathlib import Path
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CompressedImage

from rig_robot.bringup.other_users import hint
from rig_robot.commands.ros_session import Visit
from rig_robot.ros.qos import COMMAND, LATCHED
from rig_robot.vision.image_decoding import from_compressed


class Answer(NamedTuple):
    """What came of a goal."""

    accepted: bool
    text: str


def send(picture: Path, namespace: str = "", timeout: float = 10.0) -> Answer:
    """Publish a PNG or JPEG file on `rig/goal/image_in/compressed` and return the goal node's answer.

    Raises:
        ValueError: If the file is no such picture.
        OSError: If it cannot be read.
    """
    if picture.is_dir():
        raise ValueError(f"{picture} is a directory: name a PNG or JPEG file")
    data = picture.read_bytes()
    try:
        from_compressed(data)  # what is no picture is better said here than by a robot
    except ValueError as error:
        raise ValueError(f"{picture}: {error}") from None
    with Visit("rig_goal_command", namespace, timeout) as visit:
        statuses: list[DiagnosticStatus] = []

        def hear(status: DiagnosticStatus) -> None:
            """Keep the answer to this picture: others show goals meanwhile, and the encoder imagines some."""
            values = {item.key: item.value for item in status.values}
            if values.get("source") == "image_in/compressed" and values.get("bytes") == str(len(data)):
                statuses.append(status)

        visit.node.create_subscription(DiagnosticStatus, "rig/goal/status", hear, LATCHED)
        publisher = visit.node.create_publisher(CompressedImage, "rig/goal/image_in/compressed", COMMAND)
        if not visit.until(publisher.get_subscription_count):
            text = f"no goal node heard within {timeout:g} s: is the system running in this ROS domain?"
            return Answer(False, text + hint(os.environ))
        visit.until(lambda: statuses, 0.5)  # the latched answer to the goal before, if there was one
        statuses.clear()
        message = CompressedImage(format="png" if data.startswith(b"\x89PNG") else "jpeg")
        message.header.stamp = visit.node.get_clock().now().to_msg()
        message.data = array.array("B", data)
        publisher.publish(message)
        if not visit.until(lambda: statuses):
            return Answer(False, f"the goal node did not answer within {timeout:g} s{hint(os.environ)}")
        return Answer(statuses[-1].level != DiagnosticStatus.ERROR, statuses[-1].message)
