"""Measures how near a policy comes to goals that it is shown as pictures (`rig eval`)."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from rig_robot.checkpoints.checkpoint import resolve
from rig_robot.common.output_paths import check_file
from rig_robot.common.package_files import locate
from rig_robot.inference.numpy_networks import Encoder, Policy
from rig_robot.inference.object_memory import ObjectMemory, is_sure
from rig_robot.learning.arguments import EvalArgs
from rig_robot.learning.rig import HELD_OUT_SEEDS
from rig_robot.learning.training.metrics import push_sentence, push_summary, sentence, summary

EnvFactory = Callable[..., gymnasium.Env]
"""`gymnasium.make` or a function with the same arguments: learning imports no simulation"""


@dataclass(frozen=True)
class Rollout:
    """One episode towards one goal."""

    start: np.ndarray
    """uint8 [S, S, 3]"""
    goal: np.ndarray
    """uint8 [S, S, 3], the picture that was the goal"""
    end: np.ndarray
    """uint8 [S, S, 3]"""
    distances: np.ndarray
    """float64 [T + 1], true distance to the goal before each step and at the end [m]: of the tool, or of the object
    where there is one"""
    tool_distances: np.ndarray
    """float64 [T + 1], true distance of the tool to its goal [m]"""


def roll_out(
    env: gymnasium.Env,
    encode: Callable[[dict[str, np.ndarray], np.ndarray], np.ndarray],
    act: Callable[[np.ndarray, np.ndarray], np.ndarray],
    goals: int,
    seed: int,
    track: Callable[[dict[str, np.ndarray], np.ndarray], np.ndarray] | None = None,
) -> list[Rollout]:
    """Run whole episodes without noise towards held-out random goals, each shown as a picture.

    Args:
        env: Environment with `render_goal`.
        encode: Observation (image uint8 [S, S, 3], tool position [3]), episode's first image -> latent float32 [L].
        act: Latent, goal -> action float32 [A].
        goals: Number of goals, one episode each.
        seed: Seed of goals and starts.
        track: The same as `encode` for the observations of an episode one after the other, of which it may remember
            what the present one hides; None: `encode`.
    """
    track = track or encode
    world: Any = env.unwrapped
    rollouts = []
    for episode_seed in HELD_OUT_SEEDS + np.random.default_rng((HELD_OUT_SEEDS, seed)).integers(2**30, size=goals):
        observation, info = env.reset(seed=int(episode_seed), options={"held_out": True})
        start, goal_image = observation["image"], world.render_goal(observation["desired_goal"])
        goal = encode({"image": goal_image, "observation": observation["desired_goal"]}, start)
        distances, over = [_distances(info)], False
        while not over:
            observation, _, terminated, truncated, info = env.step(act(track(observation, start), goal))
            distances.append(_distances(info))
            over = terminated or truncated
        rollouts.append(Rollout(start, goal_image, observation["image"], *np.array(distances).T))
    return rollouts


def _distances(info: dict[str, Any]) -> tuple[float, float]:
    return info["distance"], info.get("tool_distance", info["distance"])


def figures(rollouts: list[Rollout], period: float) -> dict:
    """Return the figures of an evaluation (see `summary`); period: duration of a step [s]."""
    seconds = [(len(rollout.distances) - 1) * period for rollout in rollouts]
    return summary(seconds, [rollout.distances[-1] * 1000 for rollout in rollouts])


def push_figures(rollouts: list[Rollout]) -> dict:
    """Return the figures of an evaluation with an object (see `push_summary`)."""
    ends = 1000 * np.array([(rollout.distances[-1], rollout.tool_distances[-1]) for rollout in rollouts])
    return push_summary(*ends.T)


def tracker(encoder: Encoder, axes: int) -> Callable[[dict[str, np.ndarray], np.ndarray], np.ndarray]:
    """Return how a robot sees one observation after the other, remembering an object that the arm hides.

    axes: Numbers of the tool's place in a latent.
    """
    memory, present = ObjectMemory(axes), np.empty(0)

    def track(seen: dict[str, np.ndarray], start: np.ndarray) -> np.ndarray:
        nonlocal present
        if start is not present:  # another episode
            memory.forget()
            present = start
        mean, log_variance = encoder.encode(seen["image"])
        return memory.fill(mean, is_sure(log_variance, axes))

    return track


def evaluate(args: EvalArgs, make_env: EnvFactory) -> dict:
    """Evaluate a checkpoint (`rig eval`): print the figures, write them to `args.json`, return them."""
    check_file("json", args.json)
    directory = resolve(locate(str(args.checkpoint)))
    encoder, policy = Encoder(directory), Policy(directory)
    training = policy.config.training
    env = make_env(
        args.env or training["env"],
        image_size=policy.config.camera.image_size,
        action_delay=tuple(training["action_delay"]),
        scene=args.scene or training["scene"],
    )
    if env.action_space.shape != (axes := len(policy.config.action.axes),):
        raise ValueError(
            f"env is {args.env}, whose actions are {env.action_space.shape}: the checkpoint moves along {axes} axes, "
            f"trained in {training['env']}"
        )
    track = tracker(encoder, axes) if policy.config.vae.objects else None
    encode = lambda seen, _: encoder.encode(seen["image"])[0]  # noqa: E731
    rollouts = roll_out(env, encode, policy.act, args.goals, args.seed, track)
    env.close()
    if policy.config.vae.objects:
        result = push_figures(rollouts)
        print(push_sentence(result))
    else:
        result = figures(rollouts, policy.config.action.period_s)
        print(sentence(result))
    if args.json:
        args.json.write_text(json.dumps(result) + "\n")
    return result
