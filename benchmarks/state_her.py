"""Reaching in space with true positions as states and goals: `rig train --method oracle` beside Stable-Baselines3.

    python benchmarks/state_her.py

Both learn from 10,000 steps of RigSawyerReachXYZ-v0 in all, random ones included, with its delay of 20 to 90 ms, by TD3
with hindsight (future goals), a dense reward, minus the distance, and one update a step once the random ones are over.
Both are measured by the same code on the same 100 held-out goals. Nobody looks at the pictures, so none are drawn. The
last line is one JSON object.
"""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
import tyro
from stable_baselines3 import TD3, HerReplayBuffer
from stable_baselines3.common.noise import NormalActionNoise

from rig_robot.learning.methods import preset
from rig_robot.learning.training.evaluate import figures, roll_out
from rig_robot.learning.training.metrics import sentence
from rig_robot.learning.training.train import EVALUATION_SEED, train
from rig_sim.env import SawyerReachEnv
from rig_sim.world import WORKSPACE_HIGH, WORKSPACE_LOW

DELAY = (0.02, 0.09)
"""Range of the action's delay (s), as `rig train` has it."""
SHOWN = ("mean_mm", "median_mm", "within_10mm")


class Blind(SawyerReachEnv):
    """The same environment, but its pictures are black: drawing them is most of what a step costs."""

    def _image(self, data: Any) -> np.ndarray:
        return np.zeros((self.image_size, self.image_size, 3), np.uint8)


gymnasium.register("Blind-v0", lambda **options: Blind("xyz", **options), max_episode_steps=50)


class Scaled(gymnasium.ObservationWrapper):
    """Positions in units of half the workspace's longest side, about its centre; no picture. Rewards in that unit, too.

    Metres would put all of the workspace into a tenth of what a freshly drawn network tells apart.
    """

    CENTRE = (WORKSPACE_LOW + WORKSPACE_HIGH) / 2
    UNIT = float(np.max(WORKSPACE_HIGH - WORKSPACE_LOW)) / 2
    NAMES = ("observation", "achieved_goal", "desired_goal")

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        box = gymnasium.spaces.Box(-2, 2, (3,), np.float32)
        self.observation_space = gymnasium.spaces.Dict(dict.fromkeys(self.NAMES, box))

    @classmethod
    def scale(cls, position: np.ndarray) -> np.ndarray:
        return ((position - cls.CENTRE) / cls.UNIT).astype(np.float32)

    def observation(self, observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: self.scale(observation[name]) for name in self.NAMES}

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, float(reward) / self.UNIT, terminated, truncated, info

    def compute_reward(self, achieved: np.ndarray, desired: np.ndarray, info: Any) -> np.ndarray:
        return -np.linalg.norm(achieved - desired, axis=-1)


@dataclass
class Args:
    seeds: int = 3
    """Runs of each."""
    steps: int = 10_000
    """Environment steps in all."""
    exploration_steps: int = 1_000
    """Random ones among them, at the beginning."""
    goals: int = 100
    """Held-out goals to measure with."""


def ours(args: Args, seed: int) -> dict[str, float]:
    """The oracle of `rig train`."""
    with tempfile.TemporaryDirectory() as out:
        run = preset(
            "oracle",
            env="Blind-v0",
            action_delay=DELAY,
            seed=seed,
            exploration_steps=args.exploration_steps,
            online_steps=args.steps - args.exploration_steps,
            rehearsal_updates=0,
            updates=1,
            gamma=0.97,
            evaluate_every=args.steps,
            final_goals=args.goals,
            out=Path(out) / "run",
        )
        history = json.loads(train(run, gymnasium.make).read_text())
    assert history[-1]["samples"] <= args.steps
    return history[-1]


def theirs(args: Args, seed: int) -> dict[str, float]:
    """TD3 and HerReplayBuffer of Stable-Baselines3. What is not said is its default."""
    env = Scaled(gymnasium.make("Blind-v0", action_delay=DELAY))
    model = TD3(
        "MultiInputPolicy",
        env,
        learning_rate=lambda left: 1e-3 * (0.05 + 0.95 * left),  # falls as ours does
        batch_size=256,
        gamma=0.95,
        tau=0.01,
        train_freq=1,
        gradient_steps=1,
        learning_starts=args.exploration_steps,
        buffer_size=args.steps,
        replay_buffer_class=HerReplayBuffer,
        replay_buffer_kwargs={"n_sampled_goal": 4, "goal_selection_strategy": "future"},
        action_noise=NormalActionNoise(np.zeros(3), np.full(3, 0.2)),
        policy_kwargs={"net_arch": [256, 256]},
        seed=seed,
        device="cpu",
    )
    model.learn(args.steps)

    def act(state: np.ndarray, goal: np.ndarray) -> np.ndarray:
        seen = {"observation": state, "achieved_goal": state, "desired_goal": goal}
        return model.predict(seen, deterministic=True)[0]

    def encode(observation: dict[str, np.ndarray], _: np.ndarray) -> np.ndarray:
        return Scaled.scale(observation["observation"])

    world = env.env
    return figures(roll_out(world, encode, act, args.goals, EVALUATION_SEED), Blind.period)


def main(args: Args) -> None:
    torch.set_num_threads(1)
    learners: dict[str, Callable[[Args, int], dict[str, float]]] = {"oracle": ours, "stable-baselines3": theirs}
    result: dict[str, Any] = {"steps": args.steps, "goals": args.goals}
    result |= {name: {key: [] for key in (*SHOWN, "seconds")} for name in learners}
    for seed in range(args.seeds):
        for name, learn in learners.items():
            begin = time.process_time()
            found = learn(args, seed)
            result[name]["seconds"].append(round(time.process_time() - begin, 1))
            for key in SHOWN:
                result[name][key].append(round(found[key], 3))
            print(f"{name}, seed {seed}: {sentence(found)}", flush=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
