"""Evaluates a candidate, a newly trained pair of VAE and policy, against the present checkpoint.

The VAE is evaluated on held-out images; the policy by reaching, where there is a simulation to reach in, else by its
actions on those images. `acceptance_criteria.py` says what is good enough.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

from rig_robot.checkpoints import checkpoint
from rig_robot.checkpoints.config import CheckpointConfig, CheckpointError
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.checkpoint_io import restore
from rig_robot.learning.practice import acceptance_criteria
from rig_robot.learning.representations.latent import Latent
from rig_robot.learning.rig import Rig
from rig_robot.learning.rl.actor_critic import Actor
from rig_robot.learning.rl.replay_buffer import ReplayBuffer
from rig_robot.learning.training.evaluate import figures, roll_out
from rig_robot.learning.vae.measures import active_units
from rig_robot.learning.vae.split_vae import SplitVae
from rig_robot.learning.vae.vae import Vae

IMAGES, LEAST_IMAGES = 500, 2
"""Held-out images, the newest, on which a candidate is evaluated; with fewer than the second, it is not"""
SEED = 1
"""Seed of the goals of candidates; `rig eval` has another by default"""


class ReachingSimulation:
    """The simulation in which candidates reach for goals; it is made when it is first needed.

    Args:
        environment: Gymnasium environment (module:name).
        scene: Scene of the environment.
        goals: Number of goals, the same ones each time.
        args: They give the size of the images and the delay.
    """

    def __init__(self, environment: str, scene: str, goals: int, args: TrainArgs) -> None:
        self._name, self._goals = environment, goals
        self._options: dict[str, Any] = {
            "image_size": args.image_size,
            "action_delay": args.action_delay,
            "scene": scene,
        }
        self._env: gymnasium.Env | None = None

    def reach(self, rig: Rig, check_interrupt: Callable[[], None]) -> dict[str, Any]:
        """Return the figures of an evaluation; check_interrupt: called before each action, may raise to break off."""
        if self._env is None:
            self._env = gymnasium.make(self._name, **self._options)

        def act(latent: np.ndarray, goal: np.ndarray) -> np.ndarray:
            check_interrupt()
            return rig.act(latent, goal)

        world: Any = self._env.unwrapped
        rollouts = roll_out(self._env, rig.encode, act, self._goals, SEED)
        return {name: value for name, value in figures(rollouts, world.period).items() if name != "each"}

    def close(self) -> None:
        """Close the simulation."""
        if self._env is not None:
            self._env.close()


class CandidateEvaluation:
    """Compares the networks that learn with a checkpoint.

    Args:
        root: Directory of checkpoints.
        config: Gives the axes that the arm moves along.
        rig: The networks.
        held_out: Frames that nothing is trained on.
        simulation: Where the policy reaches for goals; None: its actions on held-out images are compared.
    """

    def __init__(
        self,
        root: Path,
        config: CheckpointConfig,
        rig: Rig,
        held_out: ReplayBuffer,
        simulation: ReachingSimulation | None,
    ) -> None:
        assert isinstance(rig.representation, Latent)
        self._root, self._rig, self._held_out, self._simulation = root, rig, held_out, simulation
        self._representation = rig.representation
        self._axes = tuple("xyz".index(axis) for axis in config.action.axes)

    def held_out_loss(self) -> float:
        """Return the VAE's loss on held-out images; NaN where no episode is held out yet."""
        return self._loss(self._representation.vae) if self._newest(IMAGES) else float("nan")

    def knows_view(self, replay: ReplayBuffer, count: int) -> bool:
        """Return whether the VAE was trained on the view of the newest `count` frames of a buffer; True where none is.

        replay: One that is trained on or held out.
        """
        frames = range(max(0, replay.size - count), replay.size)
        return not frames or self._representation.knows_view(self._rig.prior, replay, frames)

    def knows_held_out_view(self, count: int) -> bool:
        """Return `knows_view` of the newest held-out frames."""
        return self.knows_view(self._held_out, count)

    def compare(
        self, name: str, best: Mapping[str, Any], check_interrupt: Callable[[], None]
    ) -> acceptance_criteria.Decision:
        """Decide whether the networks may replace a checkpoint.

        Args:
            name: The present checkpoint.
            best: Figures of the best checkpoint so far; empty where there was none.
            check_interrupt: See `ReachingSimulation.reach`.
        """
        rig, frames = self._rig, self._newest(IMAGES)
        images = self._held_out.images[frames.start : frames.stop]
        trained = checkpoint.read_config(self._root / name).trained
        present = self._load(name) if trained else None
        if len(frames) >= LEAST_IMAGES:
            before = self._figures(present[0]) if present else None
            found = self._figures(self._representation.vae)
            vae = acceptance_criteria.check_vae(before, found, len(frames), rig.action_size)
        else:
            vae = acceptance_criteria.Decision(True, "no image is held out yet")
        if not vae.accepted:
            return vae
        if self._simulation is not None:
            policy = acceptance_criteria.check_reaching(best or None, self._simulation.reach(rig, check_interrupt))
        elif present is None:
            return vae
        else:
            positions = self._held_out.states[frames.start : frames.stop]
            candidate = self._representation.vae, rig.td3.actor
            policy = acceptance_criteria.check_actions(present, candidate, images, positions, self._axes)
        return acceptance_criteria.Decision(policy.accepted, policy.reason, vae.figures | policy.figures)

    def _newest(self, count: int) -> range:
        size = self._held_out.size
        return range(max(0, size - count), size)

    def _loss(self, vae: Vae | SplitVae) -> float:
        return self._representation.held_out_loss(vae, self._held_out, self._newest(IMAGES))

    def _figures(self, vae: Vae | SplitVae) -> acceptance_criteria.VaeFigures:
        frames = self._newest(IMAGES)
        units = active_units(vae, self._held_out.images[frames.start : frames.stop])
        return acceptance_criteria.VaeFigures(self._loss(vae), units)

    def _load(self, name: str) -> tuple[Vae | SplitVae, Actor]:
        """Return the networks of a checkpoint."""
        directory = self._root / name
        config = checkpoint.read_config(directory)
        vae = restore.make_vae(config)
        entry = config.policy
        actor = Actor(config.vae.latent_size, self._rig.action_size, entry.hidden, rest_at_goal=entry.rest_at_goal)
        policy = checkpoint.read_tensors(directory, config.policy)
        of_actor = {name.removeprefix("actor."): policy[name] for name in policy if name.startswith("actor.")}
        for module, tensors in ((vae, checkpoint.read_tensors(directory, config.vae)), (actor, of_actor)):
            try:
                module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in tensors.items()})
            except (RuntimeError, TypeError) as error:
                raise CheckpointError(f"{directory}: its tensors do not fit: {error}") from error
        return vae, actor
