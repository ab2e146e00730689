"""What pushing from images is compared with in `push.py`: the methods of reaching, on the same task and as many steps.

Hindsight with L2 between pixels as the reward, and RIG as published (`--method pixels`, `--method rig-2018`; the
latent's 16 numbers are those of the published code for pushing). Both take whole pictures for states and goals, so that
they need not know that there is an object.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from rig_robot.learning.arguments import Method, TrainArgs
from rig_robot.learning.methods import preset

ENVIRONMENT = "RigSawyerPushXY-v0"
WRAPPED = "PushingAsReaching-v0"
"""The environment's name for `rig train`; `make` knows it"""
METHODS: dict[str, dict[str, Any]] = {
    "pixels": {"method": "pixels", "updates": 1},
    "rig-2018": {"method": "rig-2018", "latent_size": 16},
}
EXPLORATION = 2_000
"""Random steps before practice, as in the runs that they are compared with"""


class PushingAsReaching(gymnasium.ObservationWrapper):
    """Measures the tool's place alone, as a robot does, in the form that reaching has: float64 [3] m.

    The puck stays where it was pushed, as in the runs that this is compared with.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        assert isinstance(env.observation_space, gymnasium.spaces.Dict)
        place = gymnasium.spaces.Box(-np.inf, np.inf, (3,))
        self.observation_space = gymnasium.spaces.Dict(dict(env.observation_space.spaces) | {"observation": place})
        self._begun = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        world: Any = self.unwrapped
        if self._begun and not (options or {}).get("held_out"):
            options = (options or {}) | {"puck": world.world.puck_position}
        self._begun = True
        return super().reset(seed=seed, options=options)

    def observation(self, observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        world: Any = self.unwrapped
        return observation | {"observation": np.append(observation["observation"][:2], world.workspace_low[2])}


def make(name: str, **arguments: Any) -> gymnasium.Env:
    """`gymnasium.make` for workers, which have to register the environments first, and for `WRAPPED`."""
    import rig_sim  # noqa: F401

    if name == WRAPPED:
        return PushingAsReaching(gymnasium.make(ENVIRONMENT, **arguments))
    return gymnasium.make(name, **arguments)


def arguments(kind: str, steps: int, out: Path, seed: int) -> TrainArgs:
    """Return the arguments of a run; steps: of the environment in all, exploration included."""
    changes = dict(METHODS[kind])
    method: Method = changes.pop("method")
    given = {"env": WRAPPED, "exploration_steps": EXPLORATION, "online_steps": steps - EXPLORATION}
    return preset(method, out=out, seed=seed, evaluate_every=2_000, pictures=False, **given, **changes)


def figures(out: Path) -> dict[str, Any]:
    """Return of a finished run what `push_summary` says of the object."""
    with np.load(out / "rollouts.npz") as rollouts:
        moved = rollouts["last_mm"]
    within = {f"within_{bound}mm": int((moved <= bound).sum()) for bound in (30, 50)}
    return {"mean_mm": round(float(moved.mean()), 2), "median_mm": round(float(np.median(moved)), 2)} | within
