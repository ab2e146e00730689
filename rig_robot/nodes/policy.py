"""Policy node: latents and a goal latent in, twists out.

Driven by arriving latents, never by a timer that would let them age. Every start is in mode `idle`: a goal that is
still there from before must not move a robot that was just restarted.

Modes: `reach` goes to the goal that it is shown. `explore` moves at random. `practice` is RIG's Algorithm 1 on a robot
that nobody looks after: it explores while nothing is known, then reaches goals that the encoder imagines, with noise,
one after the other; a goal that a person shows comes first.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.duration import Duration
from rclpy.parameter import Parameter
from rclpy.task import Future
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from rig_robot.checkpoint_delivery.answers import AnswerState
from rig_robot.checkpoint_delivery.swap_follower import Loaded, SwapFollower
from rig_robot.checkpoints.checkpoint import resolve
from rig_robot.common.message_age import Arrival
from rig_robot.common.message_fields import stamp_ns, stamp_s, values
from rig_robot.common.package_files import locate
from rig_robot.inference.exploration import Explorer
from rig_robot.inference.latent import Latent
from rig_robot.inference.numpy_networks import Policy
from rig_robot.inference.pacer import Pacer
from rig_robot.inference.policy_pairs import Pairs
from rig_robot.messages import latents as latent
from rig_robot.messages.diagnostics import OK, WARN, diagnostic
from rig_robot.ros.node import RigNode, run
from rig_robot.ros.qos import COMMAND, EPISODES, LATCHED, OBSERVATION, STATE
from rig_robot.ros.rejection_log import Refusals

MODES = ("idle", "explore", "practice", "reach")
STICKY = 10
"""Steps for which a random direction is held, as `rig train` does by default."""
PATIENCE = 2.0
"""Time after which the encoder is asked for a goal again, and how long it gets to go over to a new VAE [s]."""
POSE_AGE = 0.5
"""A tool pose older than this is not known [s]."""


@dataclass
class Episode:
    """What is under way."""

    id: str
    mode: str
    goal_kind: str
    """imagined, shown or none"""
    goal: int
    """stamp of the goal [ns]"""
    limit: int | None
    """steps after which it ends; None: with the goal or the mode"""
    steps: int = 0


class PolicyNode(RigNode):
    """`rig/latent`, `rig/goal/latent` -> `rig/policy/twist`, `rig/episode`."""

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
        self._noise = self.declare(
            "noise",
            0.2,
            "Standard deviation of the noise on actions in practice; 1 is full speed.",
            low=0,
            high=2,
        )
        self._epsilon = self.declare("epsilon", 0.2, "Share of random actions in practice.", low=0, high=1)
        asked = self.declare("mode", "idle", "What it does.", choices=MODES, read_only=False)
        if asked != "idle":
            self.get_logger().warning(f"mode is idle after every start; set it to {asked} once the node runs")
            self.set_parameters([Parameter("mode", value="idle")])

        directory = resolve(locate(checkpoint))
        policy = _load(directory)
        self._pairs = Pairs(directory.name, policy)
        config = policy.config
        self._axes = config.action.axes
        self._speed = config.action.scale_m / config.action.period_s  # m/s of an action of 1
        self._pacer = Pacer(config.action.period_s)
        self._refusals = Refusals(self.get_logger())
        self._rng = np.random.default_rng()
        self._explorer = Explorer(config.action, config.workspace, STICKY, self._rng)
        self._told = 0.0
        self._mode = "idle"
        self._episode: Episode | None = None
        self._goal_message: Image | None = None
        self._goal_stamp = 0
        self._goal_kind = "none"
        self._shown = False
        self._goal_awaited = False
        self._request: Future | None = None
        self._asked = 0.0
        self._trainer_wants = ""
        self._poses: Any = None
        self._place: tuple[float, np.ndarray] | None = None
        self._actions = 0
        self._age = float("nan")

        self._twists = self.publisher(TwistStamped, "rig/policy/twist", COMMAND)
        self._episodes = self.publisher(DiagnosticStatus, "rig/episode", EPISODES)
        self.subscribe(Image, "rig/goal/latent", self._on_goal, LATCHED)
        self.subscribe(Image, "rig/latent", self._on_latent, OBSERVATION)
        self._swaps = SwapFollower(
            self, directory.parent, self._running, _load, self._on_candidate, AnswerState.READY, "acts"
        )
        self.subscribe(DiagnosticStatus, "rig/trainer/progress", self._on_progress, LATCHED)
        self._imagine: Any = self.create_client(Trigger, "encoder/imagine_goal")
        self.add_post_set_parameters_callback(self._on_parameters)
        self._swaps.answer(AnswerState.READY, directory.name, "acts")
        self.every(0.1, self._go_on)

    # What is seen, and what is done about it

    def _on_latent(self, message: Image) -> None:
        stamp, vae_id = stamp_s(message.header.stamp), message.header.frame_id.removeprefix(latent.FRAME_PREFIX)
        candidate = self._swaps.candidate
        if candidate is not None and vae_id == candidate.network.vae_id and not self._pairs.holds(vae_id):
            self._end_episode("the encoder was started anew, with another checkpoint")
            self._take_candidate()
        self._pairs.see(vae_id)
        due, episode = self._pacer.due(stamp), self._episode
        if not due or episode is None:
            return
        try:
            self._age = Arrival.of(stamp, self.now()).age
            if self._age > self._max_age:
                raise ValueError(f"its frame is older than {self._max_age:g} s (max_age)")
            action = self._act(latent.from_message(message), episode.mode)
        except ValueError as error:
            self._refusals.refuse(f"rig/latent: not acted on: {error}")
            return
        if action is None:
            return
        twist = TwistStamped()
        twist.header.stamp = message.header.stamp
        twist.header.frame_id = self._base_frame
        for axis, value in zip(self._axes, action.tolist(), strict=True):
            setattr(twist.twist.linear, axis, value * self._speed)
        self._twists.publish(twist)
        self._pacer.acted(stamp)
        self._refusals.accept()
        self._actions += 1
        episode.steps += 1
        if episode.steps == episode.limit:
            self._end_episode("its steps are done")
            self._go_on()

    def _act(self, found: Latent, mode: str) -> np.ndarray | None:
        """An action [A] in [-1, 1]; None where this VAE's latent of the goal is still on its way."""
        if mode == "explore":
            return self._explorer.act(self._known_place())
        pair = self._pairs.of(found)
        if pair.goal is None:
            return None
        if mode == "practice" and self._rng.random() < self._epsilon:
            return self._rng.uniform(-1, 1, len(self._axes)).astype(np.float32)
        action = pair.policy.act(found.mean, pair.goal.mean)
        if mode == "practice":
            action = np.clip(action + self._rng.normal(0, self._noise, len(action)), -1, 1)
        return action

    def _known_place(self) -> np.ndarray | None:
        """Where the tool is [3] m, if that is known."""
        if self._place is None:
            return None
        when, place = self._place
        return place if self.now() - when < POSE_AGE else None

    def _listen_to_pose(self, wanted: bool) -> None:
        """Hear the tool's pose while exploring, and not otherwise: it comes a hundred times a second."""
        if wanted and self._poses is None:
            self._poses = self.subscribe(PoseStamped, "rig/ee_pose", self._on_pose, STATE)
        elif not wanted and self._poses is not None:
            self.destroy_subscription(self._poses)
            self._poses = self._place = None

    def _on_pose(self, message: PoseStamped) -> None:
        place = message.pose.position
        self._place = stamp_s(message.header.stamp), np.array([place.x, place.y, place.z])

    # Goals

    def _on_goal(self, message: Image) -> None:
        self._goal_message, stamp = message, stamp_ns(message.header.stamp)
        if not message.width:
            self._pairs.forget_goal()
            self._goal_stamp, self._goal_kind, self._shown = 0, "none", False
            if self._follows_goals():
                self._end_episode("goal cleared")
            return
        try:
            goal = latent.from_message(message)
            pair = self._pairs.of(goal)
        except ValueError as error:
            if self._follows_goals():
                self._end_episode("the goal cannot be used")
            self._pairs.forget_goal()
            self._goal_stamp = 0
            self._refusals.refuse(f"rig/goal/latent: the goal is refused: {error}")
            return
        if stamp == self._goal_stamp:  # the same goal, as another VAE sees it
            pair.goal = goal
            return
        self._pairs.forget_goal()
        pair.goal, self._goal_stamp, self._goal_awaited = goal, stamp, False
        self._goal_kind = "imagined" if goal.imagined else "shown"
        self._refusals.accept()
        if self._mode == "reach":
            self._end_episode("new goal")
            self._start_episode("reach", self._goal_kind, None)
        elif self._mode == "practice" and pair.policy.config.trained:
            self._take_goal()

    def _take_goal(self) -> None:
        """In practice: begin with a goal that was imagined, or put it off for one that a person shows."""
        if self._goal_kind == "shown":
            self._end_episode("a goal is shown")
            self._shown = True
            self._start_episode("reach", "shown", None)
        elif self._episode is None or self._follows_goals():
            self._end_episode("a goal is imagined")
            self._shown = False
            self._start_episode("practice", "imagined", self._episode_steps)

    def _ask_for_goal(self) -> None:
        """Ask the encoder to imagine one (line 4)."""
        if self._goal_awaited and time.monotonic() - self._asked < PATIENCE:
            return
        self._goal_awaited, self._asked = True, time.monotonic()
        self._request = request = self._imagine.call_async(Trigger.Request())
        request.add_done_callback(lambda future: self._on_imagined(future))

    def _on_imagined(self, request: Future) -> None:
        """Note where no goal is on its way, because a person has just shown one; one that is comes as a latent."""
        if request is not self._request:  # the answer is late: the encoder was asked again
            return
        response = request.result()
        if response is None or not response.success:
            self._goal_awaited = False

    # Checkpoints

    def _on_candidate(self) -> None:
        """Load a new pair at once where no episode with a limit would be broken in two by it."""
        if self._episode is None or self._episode.limit is None:
            self._take_candidate()

    def _take_candidate(self) -> None:
        """Hold the new pair as well, and let the encoder activate it."""
        name, policy = self._swaps.take()
        self._pairs.add(name, policy)
        self._told = time.monotonic()
        if self._goal_message is not None and not self._goal_stamp:
            self._on_goal(self._goal_message)  # it may have been of this VAE
        self._swaps.answer(AnswerState.READY, name, "has loaded the pair", policy.vae_id)

    def _running(self) -> Loaded[Policy]:
        return Loaded(self._pairs.present.name, self._pairs.present.policy)

    # Episodes

    def _go_on(self) -> None:
        """Between episodes: let a new checkpoint in, then begin what comes next."""
        if self._episode is not None:
            return
        if self._swaps.candidate is not None:
            self._take_candidate()
        switching = self._pairs.present.name != self._swaps.announced and time.monotonic() - self._told < PATIENCE
        if switching or self._mode not in ("explore", "practice") or self._shown:
            return
        trained = self._pairs.present.policy.config.trained
        # A trainer may want exploration of a trained robot as well: when the view is one that its VAE does not know.
        if self._mode == "explore" or self._trainer_wants == "wanted" or not (trained or self._trainer_wants):
            self._start_episode("explore", "none", self._episode_steps)
        elif trained:
            self._ask_for_goal()

    def _on_progress(self, message: DiagnosticStatus) -> None:
        self._trainer_wants = values(message).get("explore", "")

    def _on_parameters(self, parameters: Sequence[Parameter]) -> None:
        for parameter in parameters:
            if parameter.name == "mode" and parameter.value != self._mode:
                self._end_episode(f"mode {parameter.value}")
                self._mode, self._shown = parameter.value, False
                self._listen_to_pose(self._mode == "explore")
                self.get_logger().info(f"mode {self._mode}")
                if self._mode == "reach" and self._goal_stamp:
                    self._start_episode("reach", self._goal_kind, None)

    def _follows_goals(self) -> bool:
        return self._episode is not None and self._episode.mode != "explore"

    def _start_episode(self, mode: str, goal_kind: str, limit: int | None) -> None:
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        goal = 0 if goal_kind == "none" else self._goal_stamp
        self._episode = Episode(name, mode, goal_kind, goal, limit)
        self._listen_to_pose(mode == "explore")
        self._tell_episode(self._episode, "start", "")

    def _end_episode(self, why: str) -> None:
        if self._episode is not None:
            self._tell_episode(self._episode, "end", why)
            self._episode = None

    def _tell_episode(self, episode: Episode, event: str, why: str) -> None:
        told = {
            "id": episode.id,
            "event": event,
            "mode": episode.mode,
            "goal": episode.goal,
            "goal_kind": episode.goal_kind,
            "checkpoint": self._pairs.present.name,
            "vae": self._pairs.present.policy.vae_id,
            "steps": episode.steps,
            "why": why,
        }
        self._episodes.publish(diagnostic("episode", OK, event, told))

    def stop(self) -> None:
        """Close the episode: what was recorded of it is whole."""
        self._end_episode("the policy node stops")
        self._episodes.wait_for_all_acked(Duration(seconds=0.5))

    def health(self) -> tuple[bytes, str, dict[str, Any]]:
        """Say what it is doing, and why not where it should but cannot."""
        details = {
            "mode": self._mode,
            "goal": self._goal_stamp or "none",
            "actions": self._actions,
            "refused": self._refusals.count,
            "age of the last frame at arrival [s]": f"{self._age:.4f}",
            "checkpoint": self._pairs.present.name,
            "vae": self._pairs.present.policy.vae_id,
        }
        if self._refusals.reason:
            return WARN, self._refusals.reason, details
        return OK, self._doing(), details

    def _doing(self) -> str:
        if self._mode == "reach" and not self._goal_stamp:
            return "reach: waits for a goal"
        if self._mode != "practice":
            return self._mode
        if self._episode is not None:
            return f"practice: {self._episode.mode}, goal {self._episode.goal_kind}"
        if not self._pairs.present.policy.config.trained:
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
