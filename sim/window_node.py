"""Shows the simulated camera's view beside the goal, in a window."""

from __future__ import annotations

import os

import cv2
import numpy as np
from sensor_msgs.msg import Image

from rig_robot.common import display
from rig_robot.messages.imagined_goals import IMAGINED
from rig_robot.ros.node import BadParameter, RigNode
from rig_robot.ros.node_process import run
from rig_robot.ros.qos import LATCHED, OBSERVATION
from rig_robot.vision.image_decoding import from_raw
from rig_sim.goals_node import titled
from rig_sim.world import CAMERA_SIZE

TITLE = "rig_robot"
PERIOD = 0.05
"""Time between two pictures in the window [s]."""


class WindowNode(RigNode):
    """Shows `camera/image_raw` and `rig/goal/image` side by side, until the window is closed."""

    def __init__(self) -> None:
        super().__init__("sim_window")
        if why := display.missing():
            raise BadParameter(why)
        os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false")  # of fonts, which nothing here needs
        self._view: Image | None = None
        self._goal: Image | None = None
        self._open = self._closed = False
        self.subscribe(Image, "camera/image_raw", self._take_view, OBSERVATION)
        self.subscribe(Image, "rig/goal/image", self._take_goal, LATCHED)
        self.every(PERIOD, self._show)

    def _take_view(self, message: Image) -> None:
        self._view = message

    def _take_goal(self, message: Image) -> None:
        self._goal = message

    def _show(self) -> None:
        if self._closed:
            return
        if self._open and cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1:
            self._closed = True
            self.get_logger().info("the window was closed; the simulation goes on")
            return
        if not self._open:
            cv2.namedWindow(TITLE, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)
        panels = _panel(self._view, CAMERA_SIZE, "camera", "no camera yet"), self._goal_panel()
        cv2.imshow(TITLE, cv2.cvtColor(np.hstack(panels), cv2.COLOR_RGB2BGR))
        cv2.waitKey(1)
        self._open = True

    def _goal_panel(self) -> np.ndarray:
        goal = self._goal if self._goal is not None and self._goal.width else None
        imagined = goal is not None and goal.header.frame_id == IMAGINED
        return _panel(goal, (CAMERA_SIZE[1],) * 2, "goal, imagined" if imagined else "goal", "no goal")


def _panel(message: Image | None, size: tuple[int, int], title: str, without: str) -> np.ndarray:
    """Return a picture of a size (width, height) under its title, uint8 [H, W, 3]; black if there is no picture yet."""
    if message is None:
        return titled(np.zeros((*size[::-1], 3), np.uint8), without)
    return titled(cv2.resize(from_raw(message), size, interpolation=cv2.INTER_NEAREST), title)


def main() -> None:
    """Run the node."""
    run(WindowNode)


if __name__ == "__main__":
    main()
