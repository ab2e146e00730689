"""What a pair of VAE and policy is judged by before it may follow the present one: `judge.py` says what is good enough.

The VAE by images that nothing was trained on. The policy by reaching, where there is a simulation to reach in; else by
its actions on those images.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

from rig_robot.checkpoints import checkpoint
from rig_robot.checkpoints.checkpoint import CheckpointConfig
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.practice import acceptance_criteria as judge
from rig_robot.learning.representations.latent import Latent
from rig_robot.learning.rig import Rig
from rig_robot.learning.rl.actor_critic import Actor
from rig_robot.learning.rl.replay_buffer import ReplayBuffer
from rig_robot.learning.training.evaluate import figures, roll_out
from rig_robot.learning.vae.vae import Vae

IMAGES = 500
"""held-out images, the newest, that a pair is judged by"""
SEED = 1
"""of the goals that pairs are judged by; those of `rig eval` by default have another"""


class Arena:
    """The simulation in which pairs show how near they come to goals; there once it is needed.

    Args:
        environment: Gymnasium environment (module:name).
        scene: Scene of it.
        goals: How many, the same each time.
        args: They say the size of the images and the delay.
    """

    def __init__(self, environment: str, scene: str, goals: int, args: TrainArgs) -> None:
        self._name, self._goals = environment, goals
        self._options: dict[str, Any] = {
            "image_size": args.image_size,
            "action_delay": args.action_delay,
            "scene": scene,
        }
        self._env: gymnasium.Env | None = None

    def reach(self, rig: Rig, breathe: Callable[[], None]) -> dict[str, Any]:
        """Return the figures of an evaluation; breathe: called before each action, may raise to break it off."""
        if self._env is None:
            self._env = gymnasium.make(self._name, **self._options)

        def act(latent: np.ndarray, goal: np.ndarray) -> np.ndarray:
            breathe()
            return rig.act(latent, goal)

        world: Any = self._env.unwrapped
        rollouts = roll_out(self._env, rig.encode, act, self._goals, SEED)
        return {name: value for name, value in figures(rollouts, world.period).items() if name != "each"}

    def close(self) -> None:
        """Leave the simulation."""
        if self._env is not None:
            self._env.close()


class Jury:
    """Compares a pair that learns with checkpoints of a root.

    Args:
        root: Of checkpoints.
        config: Says which axes the arm moves along.
        rig: The pair.
        held_out: What nothing is trained on.
        arena: Where it reaches; None: it is judged by its actions on held-out images.
    """

    def __init__(
        self, root: Path, config: CheckpointConfig, rig: Rig, held_out: ReplayBuffer, arena: Arena | None
    ) -> None:
        assert isinstance(rig.representation, Latent)
        self._root, self._rig, self._held_out, self._arena = root, rig, held_out, arena
        self._vae = rig.representation.vae
        self._axes = tuple("xyz".index(axis) for axis in config.action.axes)

    def images(self, count: int = IMAGES) -> np.ndarray:
        """uint8 [N, S, S, 3], at most so many: the newest that nothing is trained on."""
        return self._held_out.images[self._newest(count)]

    def loss(self) -> float:
        """The VAE's loss on them; not a number where no episode is held out yet."""
        images = self.images()
        return judge.held_out_loss(self._vae, images, self._rig.args.beta) if len(images) else float("nan")

    def knows(self, images: np.ndarray) -> bool:
        """Whether the VAE has learnt to see what images [N, S, S, 3] show; True where there are none."""
        return not len(images) or judge.knows(self._vae, self._rig.prior, images)

    def trained(self, name: str) -> bool:
        """Whether a checkpoint has learned anything."""
        return checkpoint.read_config(self._root / name).trained

    def verdict(self, name: str, best: Mapping[str, Any], breathe: Callable[[], None]) -> judge.Verdict:
        """Say whether the pair may follow a checkpoint.

        Args:
            name: The present checkpoint.
            best: Figures of the best pair so far; empty where there was none.
            breathe: See `Arena.reach`.
        """
        rig, images = self._rig, self.images()
        present = self._load(name) if self.trained(name) else None
        seeing = judge.seeing(present and present[0], self._vae, images, rig.args.beta, rig.action_size)
        if not seeing.accepted:
            return seeing
        if self._arena is not None:
            acting = judge.reaching(best or None, self._arena.reach(rig, breathe))
        elif present is None:
            return seeing
        else:
            positions = self._held_out.states[self._newest(IMAGES)]
            acting = judge.acting(present, (self._vae, rig.td3.actor), images, positions, self._axes)
        return judge.Verdict(acting.accepted, acting.reason, seeing.figures | acting.figures)

    def _newest(self, count: int) -> slice:
        size = self._held_out.size
        return slice(max(0, size - count), size)

    def _load(self, name: str) -> tuple[Vae, Actor]:
        """The networks of a checkpoint."""
        directory, likelihood = self._root / name, self._rig.args.likelihood
        config = checkpoint.read_config(directory)
        vae = Vae(config.camera.image_size, config.vae.latent_size, config.vae.channels, likelihood)
        actor = Actor(config.vae.latent_size, self._rig.action_size, config.policy.hidden)
        policy = checkpoint.read_tensors(directory, config.policy)
        of_actor = {name.removeprefix("actor."): policy[name] for name in policy if name.startswith("actor.")}
        for module, tensors in ((vae, checkpoint.read_tensors(directory, config.vae)), (actor, of_actor)):
            module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in tensors.items()})
        return vae, actor
