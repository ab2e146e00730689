"""Imagines episodes in the model of the dynamics: moments from which the policy is improved."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from rig_robot.inference.places import Places
from rig_robot.learning.planning.dynamics import Dynamics
from rig_robot.learning.planning.value_gradients import Moment, ValueGradients
from rig_robot.learning.rl.replay_buffer import ReplayBuffer

STEPS = 40
"""of an imagined episode"""
NOISE = 0.2
"""Standard deviation of the noise on its actions"""
WANDERING, WANDER = 0.15, 5
"""Share of the episodes that do something else than the policy would, drawn anew every so many steps"""
BESIDE = 1.0
"""Starts beside an object are at most so far from touching it [actions]"""
MEASURED = 64
"""Episodes by which a policy is measured in each network of the model"""


class Rollouts(NamedTuple):
    """N imagined episodes of T steps; float32."""

    latents: Tensor
    """[T + 1, N, L]"""
    before: Tensor
    """[T + 1, N, A]"""
    goals: Tensor
    """[N, L]"""
    live: Tensor
    """bool [T + 1, N]: no object has left the places where objects were seen"""


def starts(replay: ReplayBuffer, places: Places, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return latents [N, L] and actions before [N, A] to begin at: half recorded, half anywhere.

    Half of the latter have the tool beside an object: most of what there is to learn is there.
    """
    frames = rng.integers(replay.size, size=count)
    latents, before = replay.latents[frames].copy(), replay.actions[frames - 1].copy()
    anywhere = count // 2
    latents[:anywhere], before[:anywhere] = places.sample(rng, anywhere), 0.0
    if latents.shape[1] > places.axes:
        latents[: anywhere // 2] = places.beside(rng, latents[: anywhere // 2], BESIDE)
    return latents, before


@torch.no_grad()
def imagine(
    agent: ValueGradients,
    dynamics: Dynamics,
    replay: ReplayBuffer,
    places: Places,
    count: int,
    rng: np.random.Generator,
    wandering: float = WANDERING,
) -> Rollouts:
    """Imagine episodes of the agent's, with noise, towards imagined goals, in one network of the model."""
    member = int(rng.integers(dynamics.members))
    latent, action = map(torch.from_numpy, starts(replay, places, count, rng))
    goals = torch.from_numpy(places.sample(rng, count))
    low, high = (torch.from_numpy(bound[places.axes :]) for bound in (places.low, places.high))
    live = torch.ones(count, dtype=torch.bool)
    passed = [(latent, action, live)]
    for step in range(STEPS):
        if step % WANDER == 0:
            wanders = torch.from_numpy(rng.random(count) < wandering)[:, None]
            elsewhere = torch.from_numpy(rng.uniform(-1, 1, action.shape).astype(np.float32))
        noise = torch.from_numpy(rng.normal(0, NOISE, action.shape).astype(np.float32))
        chosen = (agent.actor(latent, goals) + noise).clamp(-1, 1)
        chosen = torch.where(wanders, elsewhere, chosen)
        latent = dynamics(latent, action, chosen, member)
        objects = latent[:, places.axes :]
        live = live & (objects >= low).all(dim=1) & (objects <= high).all(dim=1)
        action = chosen
        passed.append((latent, action, live))
    latents, before, alive = (torch.stack(parts) for parts in zip(*passed, strict=True))
    return Rollouts(latents, before, goals, alive)


def moments(rollouts: Rollouts, count: int, hindsight: float, rng: np.random.Generator) -> Moment:
    """Draw moments at which nothing has been lost, of which a share has a goal that is reached later in its episode."""
    steps, episodes = rollouts.live.shape
    episode = torch.from_numpy(rng.integers(episodes, size=count))
    first = torch.from_numpy(rng.integers(steps - 1, size=count))
    later = first + 1 + torch.from_numpy(rng.random(count)).mul(steps - 1 - first).long()
    goals = rollouts.goals[episode].clone()
    replaced = torch.from_numpy(rng.random(count) < hindsight) & rollouts.live[later, episode]
    goals[replaced] = rollouts.latents[later, episode][replaced]
    kept = rollouts.live[first, episode]
    first, episode, goals = first[kept], episode[kept], goals[kept]
    return Moment(rollouts.latents[first, episode], rollouts.before[first, episode], goals)


@torch.no_grad()
def push_in_model(
    actor: nn.Module, dynamics: Dynamics, replay: ReplayBuffer, places: Places, rng: np.random.Generator
) -> float:
    """Return how far an actor leaves the objects from imagined goals in the model, on average [actions].

    Episodes begin at recorded moments; each network of the model plays a share of them.
    """
    total = 0.0
    for member in range(dynamics.members):
        frames = rng.integers(replay.size, size=MEASURED)
        latent, action = (torch.from_numpy(part) for part in (replay.latents[frames], replay.actions[frames - 1]))
        goals = torch.from_numpy(places.sample(rng, MEASURED))
        for _ in range(2 * STEPS):
            action, before = actor(latent, goals), action
            latent = dynamics(latent, before, action, member)
        apart = (latent - goals)[:, places.axes :].unflatten(1, (-1, places.axes)).norm(dim=2)
        total += float(apart.mean())
    return total / dynamics.members
