"""`rig goal`: make a picture, or the present view, the goal of a running robot; with `--wait`, wait for its arrival."""

from __future__ import annotations

import array
import os
from pathlib import Path
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CompressedImage
from std_srvs.srv import Trigger

from rig_robot.bringup.other_users import hint
from rig_robot.commands.ros_session import NoAnswerError, RosSession
from rig_robot.common.message_fields import values
from rig_robot.inference.goal_progress import Phase
from rig_robot.inference.goal_pursuit import NOT_REACHING
from rig_robot.ros.qos import ANSWERS, COMMAND, LATCHED
from rig_robot.vision.image_decoding import from_compressed


class Answer(NamedTuple):
    """The goal node's answer: whether it accepted the picture, and its reason; or whether the arm has arrived."""

    accepted: bool
    text: str
    goal: str = ""
    """the goal's name: the time of its acceptance [ns]"""


def send(
    picture: Path | None, namespace: str = "", timeout: float = 10.0, arrival: float | None = None, quiet: bool = False
) -> Answer:
    """Make a picture the goal and return the goal node's answer; with `arrival`, whether the arm has arrived.

    Args:
        picture: PNG or JPEG file, which is published on `rig/goal/image_in/compressed`; None: the present view.
        namespace: ROS namespace of the robot.
        timeout: Longest wait for the system and for its answer [s].
        arrival: Longest wait for the arm's arrival [s]; None: do not wait for it.
        quiet: Print nothing while waiting for the arrival.

    Raises:
        ValueError: If the file is no PNG or JPEG picture.
        OSError: If the file cannot be read.
    """
    data = None if picture is None else _read(picture)
    with RosSession("rig_goal_command", namespace, timeout) as session:
        progress = None if arrival is None else _Progress(session)
        answer = _ask(session, data, timeout)
        if arrival is None or progress is None or not answer.accepted:
            return answer
        if not quiet:
            print(answer.text, flush=True)
        return progress.arrive(answer.goal, arrival)


def _read(picture: Path) -> bytes:
    """Return a file's bytes, and reject one that is no picture before it is sent."""
    if picture.is_dir():
        raise ValueError(f"{picture} is a directory: name a PNG or JPEG file")
    data = picture.read_bytes()
    try:
        from_compressed(data)
    except ValueError as error:
        raise ValueError(f"{picture}: {error}") from None
    return data


def _ask(session: RosSession, data: bytes | None, timeout: float) -> Answer:
    """Send a picture, or ask for the present view, and return the goal node's answer."""
    statuses: list[DiagnosticStatus] = []

    def hear(status: DiagnosticStatus) -> None:
        """Keep the answer to this request: other programs send goals, too, and the encoder imagines some."""
        said = values(status)
        sent = said.get("source") == "image_in/compressed" and data is not None and said.get("bytes") == str(len(data))
        if sent or (data is None and said.get("source") == "capture"):
            statuses.append(status)

    session.node.create_subscription(DiagnosticStatus, "rig/goal/status", hear, ANSWERS)
    refused = _capture(session, statuses) if data is None else _publish(session, statuses, data, timeout)
    if refused:
        return Answer(False, refused)
    if not session.until(lambda: statuses):
        return Answer(False, f"the goal node did not answer within {timeout:g} s{hint(os.environ)}")
    answer = statuses[-1]
    return Answer(answer.level != DiagnosticStatus.ERROR, answer.message, values(answer).get("goal", ""))


def _drop_former(session: RosSession, statuses: list[DiagnosticStatus]) -> None:
    """Receive the latched answer to the previous goal, if there is one, and drop it."""
    session.until(lambda: statuses, 0.5)
    statuses.clear()


def _capture(session: RosSession, statuses: list[DiagnosticStatus]) -> str:
    """Ask the goal node to make the present view the goal; return why that failed, or nothing."""
    _drop_former(session, statuses)
    try:
        captured = session.call(Trigger, "goal/capture", Trigger.Request(), repeat=False)
    except NoAnswerError as error:
        return str(error)
    return "" if captured.success else captured.message


def _publish(session: RosSession, statuses: list[DiagnosticStatus], data: bytes, timeout: float) -> str:
    """Publish a picture; return why that failed, or nothing."""
    publisher = session.node.create_publisher(CompressedImage, "rig/goal/image_in/compressed", COMMAND)
    if not session.until(publisher.get_subscription_count):
        text = f"no goal node heard within {timeout:g} s: is the system running in this ROS domain?"
        return text + hint(os.environ)
    _drop_former(session, statuses)
    message = CompressedImage(format="png" if data.startswith(b"\x89PNG") else "jpeg")
    message.header.stamp = session.node.get_clock().now().to_msg()
    message.data = array.array("B", data)
    publisher.publish(message)
    return ""


class _Progress:
    """Follows `rig/goal/progress`."""

    def __init__(self, session: RosSession) -> None:
        self._session = session
        self._heard: list[tuple[str, str, str]] = []  # state, goal and sentence of each report
        session.node.create_subscription(DiagnosticStatus, "rig/goal/progress", self._hear, LATCHED)

    def _hear(self, report: DiagnosticStatus) -> None:
        said = values(report)
        self._heard.append((said.get("state", ""), said.get("goal", ""), report.message))

    def _follows(self, goal: str) -> bool:
        return any(name == goal for _, name, _ in self._heard)

    def _over(self, goal: str) -> bool:
        return any(
            name == goal and state in (Phase.REACHED, Phase.STALLED, Phase.BLIND) for state, name, _ in self._heard
        )

    def arrive(self, goal: str, arrival: float) -> Answer:
        """Wait until the arm has reached a goal, or is known not to, and say how far off it is."""
        session = self._session
        session.until(lambda: self._heard)
        session.until(lambda: self._follows(goal), min(arrival, NOT_REACHING))
        if self._follows(goal):
            session.until(lambda: self._over(goal), arrival)
        if not self._heard:
            return Answer(False, f"nothing heard on rig/goal/progress: is the policy node running?{hint(os.environ)}")
        state, name, sentence = self._heard[-1]
        if not self._over(goal) and name == goal:
            sentence = f"not there after {arrival:g} s: {sentence}"
        return Answer(state == Phase.REACHED and name == goal, sentence, goal)
