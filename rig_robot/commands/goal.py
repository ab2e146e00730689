"""`rig goal`: publish a picture as the goal of a running robot and wait for the goal node's answer."""

from __future__ import annotations

import array
import os
from pathlib import Path
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CompressedImage

from rig_robot.bringup.other_users import hint
from rig_robot.commands.ros_session import RosSession
from rig_robot.ros.qos import ANSWERS, COMMAND
from rig_robot.vision.image_decoding import from_compressed


class Answer(NamedTuple):
    """The goal node's answer: whether it accepted the picture, and its reason."""

    accepted: bool
    text: str


def send(picture: Path, namespace: str = "", timeout: float = 10.0) -> Answer:
    """Publish a PNG or JPEG file on `rig/goal/image_in/compressed` and return the goal node's answer.

    Raises:
        ValueError: If the file is no PNG or JPEG picture.
        OSError: If the file cannot be read.
    """
    if picture.is_dir():
        raise ValueError(f"{picture} is a directory: name a PNG or JPEG file")
    data = picture.read_bytes()
    try:
        from_compressed(data)  # reject a file that is no picture before it is sent
    except ValueError as error:
        raise ValueError(f"{picture}: {error}") from None
    with RosSession("rig_goal_command", namespace, timeout) as session:
        statuses: list[DiagnosticStatus] = []

        def hear(status: DiagnosticStatus) -> None:
            """Keep the answer to this picture: other programs send goals, too, and the encoder imagines some."""
            values = {item.key: item.value for item in status.values}
            if values.get("source") == "image_in/compressed" and values.get("bytes") == str(len(data)):
                statuses.append(status)

        session.node.create_subscription(DiagnosticStatus, "rig/goal/status", hear, ANSWERS)
        publisher = session.node.create_publisher(CompressedImage, "rig/goal/image_in/compressed", COMMAND)
        if not session.until(publisher.get_subscription_count):
            text = f"no goal node heard within {timeout:g} s: is the system running in this ROS domain?"
            return Answer(False, text + hint(os.environ))
        # Receive the latched answer to the previous goal, if there is one, and drop it.
        session.until(lambda: statuses, 0.5)
        statuses.clear()
        message = CompressedImage(format="png" if data.startswith(b"\x89PNG") else "jpeg")
        message.header.stamp = session.node.get_clock().now().to_msg()
        message.data = array.array("B", data)
        publisher.publish(message)
        if not session.until(lambda: statuses):
            return Answer(False, f"the goal node did not answer within {timeout:g} s{hint(os.environ)}")
        return Answer(statuses[-1].level != DiagnosticStatus.ERROR, statuses[-1].message)
