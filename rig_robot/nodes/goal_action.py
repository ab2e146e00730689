"""Offers to make a picture the goal and wait until the arm is there, as an action of the goal node.

Only where the package `rig_robot_interfaces` is installed, which has to be compiled; all else works without it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.action import ActionServer, CancelResponse
from rclpy.task import Future
from sensor_msgs.msg import CompressedImage

from rig_robot.common.message_fields import values
from rig_robot.inference.goal_progress import Phase
from rig_robot.inference.goal_pursuit import GoalPursuit, Outcome
from rig_robot.messages.typed_status import GoalProgress, ReachGoalImage, goal_progress
from rig_robot.ros.node import RigNode
from rig_robot.ros.qos import LATCHED

LOOK = 0.1
"""Time between two looks at whether a goal has ended [s]"""
TIMEOUT = 60.0
"""Longest time to get there, where the goal says none [s]"""


class GoalAction:
    """Serves `~/reach` for the goal node.

    Args:
        node: The goal node.
        take: Makes a picture the goal; without data, the present view. Returns the goal's name and, where it was
            refused, why.
        present: Returns the name of the robot's present goal; none: there is none.
        clear: Ends the present goal.
    """

    def __init__(
        self,
        node: RigNode,
        take: Callable[[CompressedImage], tuple[str, str]],
        present: Callable[[], str],
        clear: Callable[[], None],
    ) -> None:
        self._take, self._present, self._clear = take, present, clear
        self._warn = node.get_logger().warning
        self._pursuit: GoalPursuit | None = None
        self._ended: Future = Future()
        self._handle: Any = None
        self._disarmed: str | None = None
        self._server = ActionServer(
            node, ReachGoalImage, "~/reach", self._reach, cancel_callback=lambda _: CancelResponse.ACCEPT
        )
        node.subscribe(DiagnosticStatus, "rig/goal/progress", self._on_progress, LATCHED)
        node.subscribe(DiagnosticStatus, "rig/arm/status", self._on_arm, LATCHED)
        node.every(LOOK, self._look)

    async def _reach(self, handle: Any) -> Any:
        """Execute an action: make its picture the goal, and wait for its end."""
        request = handle.request
        if not math.isfinite(request.timeout) or request.timeout < 0:
            handle.abort()
            why = f"timeout is {request.timeout:g} s, expected 0 or more"
            return ReachGoalImage.Result(outcome=Outcome.REFUSED, why=why)
        goal, refused = self._take(request.image)
        if refused:
            handle.abort()
            return ReachGoalImage.Result(outcome=Outcome.REFUSED, why=refused)
        if self._pursuit is not None:
            self._end(Outcome.REPLACED, "another goal took its place")
        self._pursuit = GoalPursuit(goal, time.monotonic(), request.timeout or TIMEOUT)
        self._handle, self._progress, self._ended = handle, GoalProgress(goal=int(goal)), Future()
        return await self._ended

    def _on_progress(self, report: DiagnosticStatus) -> None:
        said, pursuit = values(report), self._pursuit
        if pursuit is None:
            return
        goal = said.get("goal", "")
        try:
            pursuit.report(time.monotonic(), said.get("state", Phase.WAITING), goal, report.message)
            progress = goal_progress(report) if goal == pursuit.goal else None
        except (KeyError, ValueError) as error:  # anybody may publish there
            self._warn(f"rig/goal/progress: a report is not as expected, and passed over: {error}")
            return
        if progress is not None:
            self._progress = progress
            self._handle.publish_feedback(ReachGoalImage.Feedback(progress=self._progress))

    def _on_arm(self, status: DiagnosticStatus) -> None:
        said = values(status)
        stopped = said.get("state") in ("disarmed", "estopped")
        self._disarmed = f"{status.message} ({said.get('reason', '')})" if stopped else None

    def _look(self) -> None:
        """End the action where its goal has ended."""
        if self._pursuit is None:
            return
        if self._handle.is_cancel_requested:
            self._end(Outcome.CANCELLED, "cancelled")
        elif found := self._pursuit.end(time.monotonic(), self._present(), self._disarmed):
            self._end(*found)

    def _end(self, outcome: Outcome, why: str) -> None:
        """Tell the client how its goal ended; what moves the arm on is cleared."""
        assert self._pursuit is not None
        if outcome not in (Outcome.REACHED, Outcome.REPLACED) and self._present() == self._pursuit.goal:
            self._clear()
        self._pursuit = None
        if outcome is Outcome.CANCELLED:
            self._handle.canceled()
        elif outcome is Outcome.REACHED:
            self._handle.succeed()
        else:
            self._handle.abort()
        self._ended.set_result(ReachGoalImage.Result(outcome=outcome, why=why, progress=self._progress))
