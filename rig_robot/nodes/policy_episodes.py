"""Starts and ends the policy node's episodes, announces both, and tells when practice must wait for the object."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.duration import Duration
from sensor_msgs.msg import Image

from rig_robot.checkpoint_delivery.swap_follower import Loaded
from rig_robot.common.modes import Mode
from rig_robot.inference.numpy_networks import Policy
from rig_robot.inference.policy_pairs import Pairs
from rig_robot.messages import latents as latent
from rig_robot.messages.diagnostics import OK, diagnostic
from rig_robot.ros.node import RigNode
from rig_robot.ros.qos import EPISODES

ADVICE = "put it back onto the table, where the camera sees it and the tool can get behind it"


@dataclass
class Episode:
    """The episode that is running."""

    id: str
    mode: Mode
    goal_kind: str
    """imagined, shown or none"""
    goal: int
    """stamp of the goal [ns]; 0: none"""
    limit: int | None
    """steps after which the episode ends; None: it ends with the goal or the mode"""
    steps: int = 0

    @property
    def follows_goal(self) -> bool:
        """Return whether the robot moves to a goal, rather than at random."""
        return self.mode is not Mode.EXPLORE


class Episodes:
    """Keeps the running episode, and publishes the start and the end of each on `rig/episode`.

    Args:
        node: The policy node.
        running: Returns the policy that acts now, and its checkpoint's name.
    """

    def __init__(self, node: RigNode, running: Callable[[], Loaded[Policy]]) -> None:
        self._running = running
        self.present: Episode | None = None
        self._publisher = node.publisher(DiagnosticStatus, "rig/episode", EPISODES)

    def start(self, mode: Mode, goal_kind: str, goal: int, limit: int | None) -> None:
        """Start an episode; see `Episode` for the arguments."""
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        self.present = Episode(name, mode, goal_kind, goal, limit)
        self._publish(self.present, "start", "")

    def end(self, why: str) -> None:
        """End the running episode, if there is one, and say why."""
        if self.present is not None:
            self._publish(self.present, "end", why)
            self.present = None

    def stop(self) -> None:
        """End the running episode and wait until all subscribers have its end: what was recorded of it is whole."""
        self.end("the policy node stops")
        self._publisher.wait_for_all_acked(Duration(seconds=0.5))

    def _publish(self, episode: Episode, event: str, why: str) -> None:
        name, policy = self._running()
        told = {
            "id": episode.id,
            "event": event,
            "mode": episode.mode,
            "goal": episode.goal,
            "goal_kind": episode.goal_kind,
            "checkpoint": name,
            "vae": policy.vae_id,
            "steps": episode.steps,
            "why": why,
        }
        self._publisher.publish(diagnostic("episode", OK, event, told))


class MissingObject:
    """Watches the object while the robot practises.

    Args:
        node: The policy node.
        pairs: The policies that the node holds, each with its watch.
        lost: Called with the reason when the object has gone.
        back: Called when the object is back.
    """

    def __init__(self, node: RigNode, pairs: Pairs, lost: Callable[[str], None], back: Callable[[], None]) -> None:
        self._pairs, self._lost, self._back = pairs, lost, back
        self._log = node.get_logger()
        self.gone = ""
        """why the object counts as gone; empty: it does not"""

    def see(self, stamp: float, message: Image) -> None:
        """Take the next latent; stamp: of its frame [s]. One that is none is reported where it would be acted on."""
        if self._pairs.present.watch is None:  # nothing to push: the latent is read once, where it is acted on
            self.gone = ""
            return
        try:
            found = latent.from_message(message)
        except ValueError:
            return
        watch, before = self._pairs.watch(stamp, found), self.gone
        self.gone = watch.gone if watch is not None else ""
        if self.gone and not before:
            self._log.warning(self.text())
            self._lost(self.gone)
        elif before and not self.gone:
            self._log.info("the object is back: practice goes on")
            self._back()

    def text(self) -> str:
        """Return what is awaited, for people."""
        return f"waits, since the object is gone: {self.gone}; {ADVICE}"
