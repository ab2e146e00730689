"""Judges whether a newly learned policy may replace the one that pushes on the robot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

from rig_robot.checkpoints import checkpoint
from rig_robot.checkpoints.config import CheckpointError
from rig_robot.learning.planning.push_learner import PushLearner
from rig_robot.learning.planning.rollouts import push_in_model
from rig_robot.learning.practice.acceptance_criteria import REACH_MARGIN, Decision
from rig_robot.learning.practice.candidate_evaluation import SEED
from rig_robot.learning.practice.settings import Settings
from rig_robot.learning.push_arguments import PushArgs
from rig_robot.learning.representations.objects import ObjectLatent
from rig_robot.learning.rl.actor_critic import Actor
from rig_robot.learning.training.evaluate import push_figures, roll_out

CHANCE_MM = 5.0
"""A mean final distance of the object may be so much above the best: a few dozen goals tell no more"""


class PushSimulation:
    """The simulation in which candidates push; it is made when it is first needed."""

    def __init__(self, settings: Settings, args: PushArgs) -> None:
        self._settings, self._args = settings, args
        self._env: gymnasium.Env | None = None

    def push(self, learner: PushLearner, check_interrupt: Callable[[], None]) -> dict[str, Any]:
        """Return the figures of an evaluation; check_interrupt: called before each action, may raise to break off."""
        settings, args, tracker = self._settings, self._args, learner.tracker
        if self._env is None:
            options: dict[str, Any] = {"image_size": args.image_size, "action_delay": args.action_delay}
            self._env = gymnasium.make(settings.environment, scene=settings.scene, **options)

        def act(latent: np.ndarray, goal: np.ndarray) -> np.ndarray:
            check_interrupt()
            return learner.act(latent, goal)

        return push_figures(roll_out(self._env, tracker.encode, act, settings.judge_goals, SEED, tracker.track))

    def close(self) -> None:
        """Close the simulation."""
        if self._env is not None:
            self._env.close()


def check_finite(learner: PushLearner) -> Decision:
    """Reject networks with numbers that are not finite."""
    for module, networks in learner.modules.items():
        for name, tensor in networks.state_dict().items():
            if not bool(torch.isfinite(tensor).all()):
                return Decision(False, f"{module}: {name} is not finite")
    return Decision(True, "all numbers are finite")


def check_pushing(best: Mapping[str, Any], found: dict[str, Any]) -> Decision:
    """Accept a policy that brings the object about as near to its goals as the best so far, or nearer.

    Args:
        best: Figures of the best checkpoint so far; without `mean_mm` where none was measured.
        found: Those of the candidate.
    """
    reason = f"object {found['mean_mm']:.1f} mm from its goals on average of {found['goals']}"
    if "mean_mm" not in best:
        return Decision(True, reason, found)
    most = max(REACH_MARGIN * best["mean_mm"], best["mean_mm"] + CHANCE_MM)
    return Decision(found["mean_mm"] <= most, f"{reason}, the best so far {best['mean_mm']:.1f}", found)


def check_in_model(present: Actor | None, learner: PushLearner, action_mm: float) -> Decision:
    """Accept a policy that pushes about as well as the present one in the model of what actions do, or better.

    Args:
        present: Policy of the present checkpoint; None where it acts on other latents and cannot be compared.
        learner: The newly learned policy, the model, and what was recorded.
        action_mm: How far an action of 1 moves the tool [mm].
    """
    places = learner.places()

    def distance(actor: torch.nn.Module) -> float:
        return action_mm * push_in_model(actor, learner.dynamics, learner.replay, places, np.random.default_rng(SEED))

    found = distance(learner.agent.actor)
    figures: dict[str, Any] = {"imagined_mm": round(found, 2)}
    reason = f"in its model, the object is {found:.1f} mm from its goals on average"
    if present is None:
        return Decision(bool(np.isfinite(found)), reason, figures)
    before = distance(present)
    figures["imagined_before_mm"] = round(before, 2)
    accepted = found <= max(REACH_MARGIN * before, before + CHANCE_MM)
    return Decision(accepted, f"{reason}, with the present policy {before:.1f}", figures)


def comparable_actor(directory: Path, learner: PushLearner) -> Actor | None:
    """Return the policy of a checkpoint, if it acts on the latents that the learner has now; else None.

    Raises:
        CheckpointError: If the checkpoint cannot be read.
    """
    config = checkpoint.read_config(directory)
    assert isinstance(learner.representation, ObjectLatent)
    theirs, ours = checkpoint.read_tensors(directory, config.vae), learner.representation.tensors()
    if not config.acts or theirs.keys() != ours.keys():
        return None
    if not all(np.array_equal(theirs[name], ours[name]) for name in ours):
        return None
    entry = config.policy
    actor = Actor(config.vae.latent_size, learner.box.size, entry.hidden, rest_at_goal=entry.rest_at_goal)
    tensors = checkpoint.read_tensors(directory, config.policy)
    given = {name.removeprefix("actor."): torch.from_numpy(array.copy()) for name, array in tensors.items()}
    try:
        actor.load_state_dict(given)
    except (RuntimeError, TypeError) as error:
        raise CheckpointError(f"{directory}: its tensors do not fit: {error}") from error
    return actor
