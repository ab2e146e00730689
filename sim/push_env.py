"""Pushing with the Sawyer as a gymnasium goal environment with images: a puck goes to where a goal image shows it.

After the second task of Nair, Pong et al. 2018 (arXiv 1807.04742) and multiworld's SawyerPushAndReach.
"""

from typing import Any

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from rig_robot.arm.commands import Vector
from rig_robot.common.scene_names import SceneName
from rig_sim.env import Observation, SawyerEnv
from rig_sim.push_world import PUCK_AREA, TOOL_HIGH, TOOL_LOW, PushWorld, beside, random_goal
from rig_sim.world import HOME, PUSH_VIEW

RENDERED = 240


class SawyerPushEnv(SawyerEnv):
    """A peg pushes a puck; a goal says where both are to be.

    `observation`, `achieved_goal` and `desired_goal` are float64 [4]: x and y of the tool, x and y of the puck (m, base
    frame). The reward is minus the puck's distance and minus the tool's (m).

    Nobody puts the puck anywhere between episodes: it stays where it was pushed. Only where it is not in
    `PUCK_AREA` at the end of a step, it is put back at random; a person would have had to.

    Args:
        image_size, action_delay, scene, render_mode: see `SawyerEnv`.
        resets: whether each episode begins with the puck at a random place instead.
    """

    world: PushWorld
    success_distance = 0.03
    """Distance (m) of the puck that counts as reached"""

    def __init__(
        self,
        image_size: int = 48,
        action_delay: tuple[float, float] = (0.0, 0.0),
        scene: SceneName = "plain",
        render_mode: str | None = None,
        resets: bool = False,
    ) -> None:
        self.resets = resets
        self.put_back = 0
        """how often the puck was put back, since the environment was made"""
        world, box = PushWorld(), (TOOL_LOW, TOOL_HIGH)
        super().__init__(world, PUSH_VIEW, "xy", box, RENDERED, image_size, action_delay, scene, render_mode)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode.

        options: `start`, where the tool is [2]; `puck`, where the puck is put [2]; `goal` [4] (m); `held_out`, whether
        the lab is of the kinds that training never shows (see `lab.py`). Without `puck`, the environment's first
        episode and those after a `seed` put it at random, too.
        """
        super().reset(seed=seed)
        given = options or {}
        random = self.np_random.uniform(*PUCK_AREA)
        if "puck" in given:
            self.world.put(self._flat("puck", given["puck"], 2))
        elif seed is not None or self.resets or not PUCK_AREA.has(self.world.puck_position):
            self.world.put(random)
        margin = np.where(self._moving, self.start_margin, 0.0)
        low, high = self.workspace_low, self.workspace_high
        start = beside(self.np_random, self.world.puck_position, low + margin, high - margin)
        if "start" in given:
            start = np.append(self._flat("start", given["start"], 2), self.workspace_low[2])
        self._goal = random_goal(self.np_random, low, high)
        if "goal" in given:
            self._goal = self._flat("goal", given["goal"], 4)
        self._begin_scene(bool(given.get("held_out", False)))
        self._place(start)
        return self._observe(), self._info()

    def step(self, action: ArrayLike) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Do one step of `period`; action float32 [2] in [-1, 1]."""
        result = super().step(action)
        if PUCK_AREA.has(self.world.puck_position):
            return result
        self.put_back += 1
        self.world.put(beside(self.np_random, self.world.tool_position[:2], *PUCK_AREA))
        observation, info = self._observe(), self._info() | {"put_back": True}
        reward = float(self.compute_reward(observation["achieved_goal"], observation["desired_goal"], info))
        return observation, reward, False, False, info

    def compute_reward(self, achieved_goal: ArrayLike, desired_goal: ArrayLike, info: Any) -> Any:
        """Return minus the distances (m) [...] of puck and tool, added; goals are [..., 4] each."""
        tool, puck = distances(np.asarray(achieved_goal), np.asarray(desired_goal))
        return -(tool + puck)

    def _goal_bounds(self) -> tuple[Vector, Vector]:
        low, high = (corner[:2] for corner in (self.workspace_low, self.workspace_high))
        return np.concatenate((low, PUCK_AREA.low)), np.concatenate((high, PUCK_AREA.high))

    def _achieved(self) -> Vector:
        return np.concatenate((self.world.tool_position[:2], self.world.puck_position))

    def _at_rest(self, goal: ArrayLike) -> mujoco.MjData:
        places = self._flat("goal", goal, 4)
        q = self._solve(HOME, np.append(places[:2], self.workspace_low[2]))
        return self.world.with_puck_at_rest(q, places[2:])

    def _info(self) -> dict[str, Any]:
        tool, puck = distances(self._achieved(), self._goal)
        return {
            "distance": float(puck),
            "tool_distance": float(tool),
            "is_success": bool(puck <= self.success_distance),
            "put_back": False,
        }

    def _flat(self, name: str, place: ArrayLike, size: int) -> Vector:
        given = np.asarray(place, dtype=np.float64)
        if given.shape != (size,) or not np.isfinite(given).all():
            raise ValueError(f"{name} must be {size} finite numbers in metres, not {place!r}")
        return given


def distances(achieved: Vector, desired: Vector) -> tuple[Vector, Vector]:
    """Return how far tool and puck are from where they should be (m), [...] each, of goals [..., 4]."""
    apart = achieved - desired
    return np.linalg.norm(apart[..., :2], axis=-1), np.linalg.norm(apart[..., 2:], axis=-1)
