"""Policy node: turns latents and a goal latent into twists.

Each arriving latent may cause one twist; there is no timer that would let latents age. Every start is in mode `idle`:
a goal from before the start must not move a robot that was just restarted.

Modes: `reach` goes to the goal that is shown. `explore` moves at random. `practice` is RIG's Algorithm 1 on a robot
without a person beside it: it explores while nothing is learned, then reaches goals that the encoder imagines, with
noise, one after the other; a goal that a person shows comes first.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from rig_robot.checkpoint_delivery.answers import AnswerState
from rig_robot.checkpoint_delivery.swap_follower import Loaded, SwapFollower
from rig_robot.checkpoints.checkpoint import resolve
from rig_robot.common.message_age import Arrival
from rig_robot.common.message_fields import stamp_s, values
from rig_robot.common.modes import Mode
from rig_robot.common.package_files import locate
from rig_robot.inference.numpy_networks import Policy
from rig_robot.inference.pacer import Pacer
from rig_robot.inference.policy_pairs import Pairs
from rig_robot.messages import latents as latent
from rig_robot.messages.diagnostics import OK, WARN
from rig_robot.nodes.policy_actions import ActionChooser
from rig_robot.nodes.policy_episodes import Episodes, MissingObject
from rig_robot.nodes.policy_goals import Goals
from rig_robot.nodes.policy_progress import ProgressReporter
from rig_robot.ros.node import RigNode
from rig_robot.ros.node_process import run
from rig_robot.ros.qos import COMMAND, LATCHED, OBSERVATION
from rig_robot.ros.realtime_priority import take_priority
from rig_robot.ros.rejection_log import RejectionLog

SWITCH_TIME = 2.0
"""Time that the encoder gets to activate a new VAE before the next episode begins with the old one [s]."""


class PolicyNode(RigNode):
    """`rig/latent`, `rig/goal/latent` -> `rig/policy/twist`, `rig/episode`, `rig/goal/progress`."""

    def __init__(self) -> None:
        super().__init__("policy")
        checkpoint = self.declare(
            "checkpoint", Parameter.Type.STRING, "Checkpoint directory, or a root of several: its policy acts."
        )
        self._base_frame = self.declare("base_frame", "base", "Frame of the twists: the base of the arm.")
        self._max_age = self.declare(
            "max_age", 0.3, "A latent whose frame is older than this is not acted on [s].", low=0.01, high=10.0
        )
        self._episode_steps = self.declare(
            "episode_steps", 50, "Steps of an episode of exploration or practice.", low=2, high=100_000
        )
        asked = self.declare("mode", Mode.IDLE, "What it does.", choices=list(Mode), read_only=False)
        if asked != Mode.IDLE:
            self.get_logger().warning(f"mode is idle after every start; set it to {asked} once the node runs")
            self.set_parameters([Parameter("mode", value=Mode.IDLE)])

        directory = resolve(locate(checkpoint))
        policy = _load(directory)
        self._pairs = Pairs(directory.name, policy)
        action = policy.config.action
        self._axes = action.axes
        self._speed = action.scale_m / action.period_s  # m/s of an action of 1
        self._pacer = Pacer(action.period_s)
        self._rejections = RejectionLog(self.get_logger())
        self._chooser = ActionChooser(self, policy.config, self._pairs)
        self._object = MissingObject(self, self._pairs, self._on_object_gone, self._begin_next)
        self._mode = Mode.IDLE
        self._shown = False
        self._trainer_wants = ""
        self._ready_at = 0.0  # when the encoder was told of the newest candidate [s, steady clock]
        self._actions = 0
        self._age = float("nan")

        self._twists = self.publisher(TwistStamped, "rig/policy/twist", COMMAND)
        self._episodes = Episodes(self, self._running)
        self._goals = Goals(self, self._pairs, self._rejections, self._on_goal, self._on_goal_lost)
        self.subscribe(Image, "rig/latent", self._on_latent, OBSERVATION)
        self._progress = ProgressReporter(self, self._pairs, self._goals)
        self._swaps = SwapFollower(
            self, directory.parent, self._running, _load, self._on_candidate, AnswerState.READY, "acts"
        )
        self.subscribe(DiagnosticStatus, "rig/trainer/progress", self._on_progress, LATCHED)
        self.add_post_set_parameters_callback(self._on_parameters)
        self._swaps.answer(AnswerState.READY, directory.name, "acts")
        self.every(0.1, self._begin_next)
        take_priority(self)

    # Latents and actions

    def _on_latent(self, message: Image) -> None:
        stamp, vae_id = stamp_s(message.header.stamp), message.header.frame_id.removeprefix(latent.FRAME_PREFIX)
        candidate = self._swaps.candidate
        if candidate is not None and vae_id == candidate.network.vae_id and not self._pairs.holds(vae_id):
            self._episodes.end("the encoder was started anew, with another checkpoint")
            self._take_candidate()
        self._pairs.see(vae_id)
        if self._mode is Mode.PRACTICE and not self._shown:
            self._object.see(stamp, message)
        due, episode = self._pacer.due(stamp), self._episodes.present
        if not due or episode is None:
            return
        try:
            self._age = Arrival.of(stamp, self.now()).age
            if self._age > self._max_age:
                raise ValueError(f"its frame is older than {self._max_age:g} s (max_age)")
            found = self._pairs.remembering(latent.from_message(message))
            action = self._chooser.choose(found, episode.mode)
        except ValueError as error:
            self._rejections.reject(f"rig/latent: not acted on: {error}")
            return
        if action is None:
            return
        twist = TwistStamped()
        twist.header.stamp = message.header.stamp
        twist.header.frame_id = self._base_frame
        for axis, value in zip(self._axes, action.tolist(), strict=True):
            setattr(twist.twist.linear, axis, value * self._speed)
        self._twists.publish(twist)
        if episode.mode is Mode.REACH:
            self._progress.see(found)
        self._pacer.acted(stamp)
        self._rejections.accept()
        self._actions += 1
        episode.steps += 1
        if episode.steps == episode.limit:
            self._episodes.end("its steps are done")
            self._begin_next()

    # Goals

    def _on_goal(self) -> None:
        """Start an episode with a new goal, where the mode asks for that."""
        if self._mode is Mode.REACH:
            self._episodes.end("new goal")
            self._start_episode(Mode.REACH, None)
        elif self._mode is Mode.PRACTICE and self._present.config.acts:
            self._practise_goal()

    def _practise_goal(self) -> None:
        """Start an episode of practice with an imagined goal, or reach the goal that a person shows first."""
        if self._goals.kind == "shown":
            self._episodes.end("a goal is shown")
            self._shown = True
            self._start_episode(Mode.REACH, None)
        elif self._object.gone:
            return
        elif self._episodes.present is None or self._episodes.present.follows_goal:
            self._episodes.end("a goal is imagined")
            self._shown = False
            self._start_episode(Mode.PRACTICE, self._episode_steps)

    def _on_goal_lost(self, why: str) -> None:
        if self._goals.kind == "none":
            self._shown = False
        if self._episodes.present is not None and self._episodes.present.follows_goal:
            self._episodes.end(why)

    def _on_object_gone(self, why: str) -> None:
        """Stop practising while there is nothing to push; the arm holds where it is."""
        self._episodes.end(f"the object is gone: {why}")

    # Checkpoints

    def _on_candidate(self) -> None:
        """Take a new policy at once, unless an episode of so many steps runs: it ends with the policy it began with."""
        if self._episodes.present is None or self._episodes.present.limit is None:
            self._take_candidate()

    def _take_candidate(self) -> None:
        """Hold the new policy beside the present one, and let the encoder activate its VAE."""
        name, policy = self._swaps.take()
        self._pairs.add(name, policy)
        self._ready_at = time.monotonic()
        self._goals.reconsider()
        self._swaps.answer(AnswerState.READY, name, "has loaded the pair", policy.vae_id)

    def _running(self) -> Loaded[Policy]:
        return Loaded(self._pairs.present.name, self._pairs.present.policy)

    @property
    def _present(self) -> Policy:
        return self._pairs.present.policy

    # Episodes

    def _begin_next(self) -> None:
        """Between episodes: take a new checkpoint, then start the next episode or ask for its goal."""
        if self._episodes.present is not None:
            return
        if self._swaps.candidate is not None:
            self._take_candidate()
        switching = (
            self._pairs.present.name != self._swaps.announced and time.monotonic() - self._ready_at < SWITCH_TIME
        )
        if switching or self._mode not in (Mode.EXPLORE, Mode.PRACTICE) or self._shown:
            return
        if self._mode is Mode.PRACTICE and self._object.gone:
            return
        acts = self._present.config.acts
        # A trainer may want exploration of a trained robot as well: when its VAE does not know the view.
        if self._mode is Mode.EXPLORE or self._trainer_wants == "wanted" or not (acts or self._trainer_wants):
            self._start_episode(Mode.EXPLORE, self._episode_steps)
        elif acts:
            self._goals.imagine()

    def _start_episode(self, mode: Mode, limit: int | None) -> None:
        kind, goal = ("none", 0) if mode is Mode.EXPLORE else (self._goals.kind, self._goals.stamp)
        self._episodes.start(mode, kind, goal, limit)
        self._chooser.listen_to_pose(mode is Mode.EXPLORE)

    def _on_progress(self, message: DiagnosticStatus) -> None:
        self._trainer_wants = values(message).get("explore", "")

    def _on_parameters(self, parameters: Sequence[Parameter]) -> None:
        for parameter in parameters:
            if parameter.name == "mode" and parameter.value != self._mode:
                self._episodes.end(f"mode {parameter.value}")
                self._mode, self._shown = Mode(parameter.value), False
                self._chooser.listen_to_pose(self._mode is Mode.EXPLORE)
                self.get_logger().info(f"mode {self._mode}")
                if self._mode is Mode.REACH and self._goals.stamp:
                    self._start_episode(Mode.REACH, None)

    def stop(self) -> None:
        """End the running episode."""
        self._episodes.stop()

    def health(self) -> tuple[bytes, str, dict[str, Any]]:
        """Return what the node does, or why it cannot do what it should."""
        details = {
            "mode": self._mode,
            "goal": self._goals.stamp or "none",
            "actions": self._actions,
            "refused": self._rejections.count,
            "age of the last frame at arrival [s]": f"{self._age:.4f}",
            "checkpoint": self._pairs.present.name,
            "vae": self._present.vae_id,
        }
        if self._rejections.reason:
            return WARN, self._rejections.reason, details
        if self._mode is Mode.PRACTICE and not self._shown and self._object.gone:
            return WARN, f"practice: {self._object.text()}", details
        return OK, self._doing(), details

    def _doing(self) -> str:
        if self._mode is Mode.REACH and not self._goals.stamp:
            return "reach: waits for a goal"
        if self._mode is not Mode.PRACTICE:
            return self._mode
        if (episode := self._episodes.present) is not None:
            return f"practice: {episode.mode}, goal {episode.goal_kind}"
        if not self._present.config.acts:
            return "practice: waits until the trainer has learned from what was explored"
        return "practice: waits for an imagined goal"


def _load(directory: Path) -> Policy:
    """Load a checkpoint's policy and use it once: the first call takes many times longer than the rest."""
    policy = Policy(directory)
    nowhere = np.zeros(policy.config.vae.latent_size, np.float32)
    policy.act(nowhere, nowhere)
    return policy


def main() -> None:
    run(PolicyNode)


if __name__ == "__main__":
    main()
