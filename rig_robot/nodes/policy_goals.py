"""Keeps the policy node's goal: validates each goal latent, and asks the encoder to imagine goals for practice."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.task import Future
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from rig_robot.common.message_fields import stamp_ns
from rig_robot.inference.policy_pairs import Pairs
from rig_robot.messages import latents as latent
from rig_robot.ros.node import RigNode
from rig_robot.ros.qos import LATCHED
from rig_robot.ros.rejection_log import RejectionLog

PATIENCE = 2.0
"""Time after which the encoder is asked for a goal again [s]."""


class Goals:
    """Takes goals from `rig/goal/latent` and gives each to the policy that was trained on its VAE.

    Args:
        node: The policy node.
        pairs: The policies that the node holds, each with its goal.
        refusals: Counts and logs the goals that are rejected.
        new: Called when another goal has been accepted.
        lost: Called with the reason when there is no goal any more.
    """

    def __init__(
        self,
        node: RigNode,
        pairs: Pairs,
        refusals: RejectionLog,
        new: Callable[[], None],
        lost: Callable[[str], None],
    ) -> None:
        self._pairs, self._rejections, self._new, self._lost = pairs, refusals, new, lost
        self.stamp = 0
        """names the goal [ns]; 0: there is none"""
        self.kind = "none"
        """imagined, shown or none"""
        self._message: Image | None = None
        self._awaited = False
        self._request: Future | None = None
        self._asked = 0.0
        self._node = node
        self._imagine: Any = node.create_client(Trigger, "encoder/imagine_goal")
        node.subscribe(Image, "rig/goal/latent", self._on_goal, LATCHED)

    def reconsider(self) -> None:
        """Validate a rejected goal again: it may be of the VAE of a policy that has come since."""
        if self._message is not None and not self.stamp:
            self._on_goal(self._message)

    def imagine(self) -> None:
        """Ask the encoder to imagine a goal (RIG, Algorithm 1, line 4), unless one is on its way."""
        if self._awaited and time.monotonic() - self._asked < PATIENCE:
            return
        self._awaited, self._asked = True, time.monotonic()
        self._request = request = self._node.call(self._imagine, Trigger.Request())
        request.add_done_callback(lambda future: self._on_imagined(future))

    def _on_goal(self, message: Image) -> None:
        self._message, stamp = message, stamp_ns(message.header.stamp)
        if not message.width:
            self._pairs.forget_goal()
            self.stamp, self.kind = 0, "none"
            self._lost("goal cleared")
            return
        try:
            goal = latent.from_message(message)
            pair = self._pairs.of(goal)
        except ValueError as error:
            self._pairs.forget_goal()
            self.stamp = 0
            self._lost("the goal cannot be used")
            self._rejections.reject(f"rig/goal/latent: the goal is refused: {error}")
            return
        if stamp == self.stamp:  # the same goal, encoded by another VAE
            pair.goal = goal
            return
        self._pairs.forget_goal()
        pair.goal, self.stamp, self._awaited = goal, stamp, False
        self.kind = "imagined" if goal.imagined else "shown"
        self._rejections.accept()
        self._new()

    def _on_imagined(self, request: Future) -> None:
        """Note where the encoder imagines no goal, because a person has just shown one; a goal comes as a latent."""
        if request is not self._request:  # the answer is late: the encoder was asked again
            return
        response = request.result()
        if response is None or not response.success:
            self._awaited = False
