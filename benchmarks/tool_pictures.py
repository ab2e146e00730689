"""Measures latents without reinforcement learning, by pictures of the tool at known places (for other benchmarks)."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from rig_robot.common.scene_names import SceneName
from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.methods import preset
from rig_robot.learning.rig import HELD_OUT_SEEDS, Rig, explore
from rig_robot.learning.rl.replay_buffer import Frames

XY = "RigSawyerReachXY-v0"
PLACES, MOMENTS, STEP_MM = 100, 4, 20.0
"""Tool positions, pictures of each at different moments, and the motion by which latents are measured"""
LINE_MM = 20
"""Half the line on which the tool is pictured every millimetre, along each axis"""
EPISODE = 50
"""Steps of an episode of exploration"""

Encode = Callable[[np.ndarray], np.ndarray]
"""Latents [B, L] of images, uint8 [B, S, S, 3]"""


def make_env(name: str, **arguments: Any) -> gymnasium.Env:
    """`gymnasium.make` for workers too, which have to register the environments first."""
    import rig_sim  # noqa: F401

    return gymnasium.make(name, **arguments)


class Pictures:
    """Pictures of the tool at places, each at several moments of its scene, and a step further at the same moments."""

    def __init__(self, scene: SceneName) -> None:
        env: Any = make_env(XY, scene=scene)
        world = env.unwrapped
        rng = np.random.default_rng(0)
        self.step = np.array([STEP_MM, STEP_MM, 0.0]) / np.sqrt(2) / 1000
        self.places = rng.uniform(world.workspace_low, world.workspace_high - self.step, (PLACES, 3))
        self.here, self.further = (
            np.stack([self._draw(env, *key, moved) for key in np.ndindex(PLACES, MOMENTS)])
            for moved in (0 * self.step, self.step)
        )
        env.close()

    def _draw(self, env: gymnasium.Env, place: int, moment: int, moved: np.ndarray) -> np.ndarray:
        seed = HELD_OUT_SEEDS + PLACES * moment + place
        options = {"start": self.places[place] + moved, "held_out": True}
        return env.reset(seed=seed, options=options)[0]["image"]

    def measure(self, encode: Encode) -> dict[str, float]:
        """Return how far clutter moves latents, and how well the tool can be read from them [mm]."""
        latents, further = encode(self.here), encode(self.further)
        unit = float(np.median(np.linalg.norm(further - latents, axis=1))) / STEP_MM
        by_place = latents.reshape(PLACES, MOMENTS, -1)
        apart = [by_place[:, i] - by_place[:, j] for i in range(MOMENTS) for j in range(i)]
        clutter = float(np.linalg.norm(apart, axis=-1).mean()) / unit
        places, number = self._known()
        known = np.c_[latents, np.ones(len(latents))]
        odd = number % 2 == 1
        found = known[~odd] @ np.linalg.lstsq(known[odd], places[odd], rcond=None)[0]
        return {
            "clutter": round(clutter, 1),
            "nearest": round(self._nearest(latents), 1),
            "linear": round(float(np.linalg.norm(found - places[~odd], axis=1).mean()), 1),
        }

    def floor(self) -> float:
        """Return the least `nearest`: that of true positions [mm]."""
        return self._nearest(self._known()[0])

    def _known(self) -> tuple[np.ndarray, np.ndarray]:
        """Return of all pictures where the tool is [N, 2], mm, and the number of that place [N]."""
        number = np.repeat(np.arange(PLACES), MOMENTS)
        return 1000 * self.places[number, :2], number

    def _nearest(self, latents: np.ndarray) -> float:
        """Return how far the tool is, on average, in the picture of another place whose latent is nearest [mm]."""
        places, number = self._known()
        distance = np.linalg.norm(latents[:, None] - latents[None], axis=2)
        distance[number[:, None] == number] = np.inf
        return float(np.linalg.norm(places[distance.argmin(axis=1)] - places, axis=1).mean())


class Line:
    """Pictures of the tool at every millimetre of two lines through the middle of its box, in an empty room."""

    def __init__(self) -> None:
        env: Any = make_env(XY)
        middle = (env.unwrapped.workspace_low + env.unwrapped.workspace_high) / 2
        along = np.arange(-LINE_MM, LINE_MM + 1) / 1000
        offsets = [np.outer(along, axis) for axis in np.eye(3)[:2]]
        self.images = np.stack([self._draw(env, middle + offset) for offset in np.concatenate(offsets)])
        env.close()

    def _draw(self, env: gymnasium.Env, place: np.ndarray) -> np.ndarray:
        return env.reset(seed=HELD_OUT_SEEDS, options={"start": place})[0]["image"]

    def unevenness(self, encode: Encode) -> float:
        """Return how unevenly a latent moves: over the millimetres, its 90th percentile divided by its median."""
        lines = encode(self.images).reshape(2, 2 * LINE_MM + 1, -1)
        moved = np.linalg.norm(np.diff(lines, axis=1), axis=2)
        return float(np.quantile(moved, 0.9) / np.median(moved))


def learn(scene: SceneName, steps: int, seed: int, changes: dict[str, Any]) -> Rig:
    """Explore for so many random steps, and learn the representation from them.

    Args:
        scene: Of exploration.
        steps: Of exploration.
        seed: Of exploration and learning.
        changes: Arguments of `rig train` that are not the default.
    """
    env = make_env(XY, scene=scene, action_delay=(0.02, 0.09))
    args = preset("rig", out=Path(tempfile.gettempdir()), exploration_steps=steps, fine_tune_every=0, **changes)
    episodes, side = steps // EPISODE, args.image_size
    rig = Rig(
        args,
        ActionBox.of_environment(env.unwrapped),
        EPISODE,
        np.zeros((episodes * (EPISODE + 1), side, side, 3), np.uint8),
    )
    for episode in range(episodes):
        explore(env, rig.replay, args.sticky, EPISODE, np.random.default_rng((seed, 0, episode)))
    env.close()
    for unit in range(rig.representation.units):
        rig.representation.fit(rig.replay, unit, np.random.default_rng((seed, 1, unit)))
    return rig


def encoder_of(rig: Rig) -> Encode:
    """Return the function that encodes images by a run's representation."""

    def encode(images: np.ndarray) -> np.ndarray:
        return rig.representation.encode(Frames(images, np.zeros((len(images), 3), np.float32), images))

    return encode
