"""Replaces the goals of transitions in hindsight: by latents reached later, imagined ones, or ones seen elsewhere."""

from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import numpy as np

from rig_robot.learning.rl.goal_prior import Prior
from rig_robot.learning.rl.replay_buffer import ReplayBuffer, Transitions

Strategy = Literal["final", "future", "episode", "random"]
"""HER's ways of choosing the frame whose achieved goal replaces the goal (Andrychowicz et al. 2017, section 4.5)"""


@dataclass(frozen=True)
class Shares:
    """Shares of a batch by how goals are chosen; all other transitions keep the goal of their episode."""

    hindsight: float
    """share with a frame of the same episode, chosen by `strategy`"""
    imagined: float
    """share with a sample of the prior"""
    replayed: float
    """share with any frame of the replay buffer"""
    strategy: Strategy = "future"


def hindsight_frames(
    rng: np.random.Generator, replay: ReplayBuffer, frames: np.ndarray, strategy: Strategy
) -> np.ndarray:
    """Return the frames whose latents are the new goals of transitions that start at `frames`: int64 [B] each.

    final: the last of the same episode; future: one after s_t (s' at the earliest); episode: any of the same episode;
    random: any in the buffer.

    .. note:: HER stores k new transitions beside each real one. Drawing goals when a batch is drawn is the same with a
       share k / (k + 1) of new goals, and needs no memory.
    """
    if strategy == "final":
        return replay.last(frames)
    if strategy == "future":
        return rng.integers(frames + 1, replay.last(frames) + 1)
    if strategy == "episode":
        return rng.integers(replay.first[replay.episode[frames]], replay.last(frames) + 1)
    if strategy == "random":
        return rng.integers(replay.size, size=len(frames))
    raise ValueError(f"strategy is {strategy!r}, expected final, future, episode or random")


def relabel(
    rng: np.random.Generator, replay: ReplayBuffer, transitions: Transitions, prior: Prior, shares: Shares
) -> np.ndarray:
    """Return new goals for `transitions` (RIG, Algorithm 1, line 12, and section 4.3): float32 [B, L].

    Transitions come in random order, so the shares are simply slices.
    """
    frames = transitions.frames
    parts = accumulate((shares.hindsight, shares.imagined, shares.replayed))
    first, second, third = (round(len(frames) * part) for part in parts)
    goals = (
        replay.latents[hindsight_frames(rng, replay, frames[:first], shares.strategy)],
        prior.sample(rng, second - first),
        replay.latents[hindsight_frames(rng, replay, frames[second:third], "random")],
        replay.goals[replay.episode[frames[third:]]],
    )
    return np.concatenate(goals)
