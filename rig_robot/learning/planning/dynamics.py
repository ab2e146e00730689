"""Predicts what an action does to the tool and to the objects that it may touch, learned from the robot's own steps.

An ensemble of deterministic networks (Chua et al. 2018, arXiv 1805.12114, without its variances; Lakshminarayanan et
al. 2017, 1612.01474): a policy cannot make use of an error that the other members do not share. Objects are seen from
the tool, so that what was learned of a push at one place holds at every other.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rig_robot.learning.rl.replay_buffer import ReplayBuffer

NEAR = 6.0
"""Distance of an object from the tool, in actions, from which on no action touches it"""
RELATIVE_SCALE = 0.4
"""Factor on the places of objects as seen from the tool, in actions: at contact, inputs are about 1"""
BY_HAND = 3.0
"""An object that moves further in a step, in actions, was moved by somebody: no lesson about pushing"""
STIRRED = 0.05
"""An object that moves further in a step, in actions, was pushed"""
HUBER = 0.3
"""Error, in actions, from which on the loss is linear"""


class Dynamics(nn.Module):
    """f(z, a_before, a) -> z': where tool and objects are after a step.

    z is [tool, object, object ...], each of A numbers in actions from the middle of the tool's box. The action before
    counts because the delay lets it go on for a part of the step.
    """

    reach: Tensor

    def __init__(self, reach: Sequence[float], objects: int, members: int, hidden: int) -> None:
        """Make a new ensemble.

        Args:
            reach: Half the sides of the tool's box, in actions [A].
            objects: How many there are; 0 for reaching.
            members: Networks in the ensemble.
            hidden: Width of their three hidden layers.
        """
        super().__init__()
        self.axes, self.objects, self.members = len(reach), objects, members
        self.register_buffer("reach", torch.as_tensor(reach, dtype=torch.float32))
        widths = [(2 + objects) * self.axes, hidden, hidden, hidden, (1 + objects) * self.axes]
        self.weights = nn.ParameterList(
            nn.Parameter(torch.empty(members, fan_in, out).uniform_(-1, 1) / fan_in**0.5)
            for fan_in, out in pairwise(widths)
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(members, 1, out)) for out in widths[1:])

    def forward(self, latent: Tensor, before: Tensor, action: Tensor, member: int) -> Tensor:
        """Return z' as one network of the ensemble predicts it: latent [B, L], actions [B, A] -> [B, L].

        Gradients pass through to latent and actions, not to the network: a policy must not make its model lie.
        """
        change = self.inputs(latent, before, action)
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            change = torch.addmm(bias[member].detach(), change, weight[member].detach())
            change = functional.silu(change) if number + 1 < len(self.weights) else change
        return self._moved(latent, change)

    def inputs(self, latent: Tensor, before: Tensor, action: Tensor) -> Tensor:
        """Return what the networks are given: objects as seen from the tool, the actions, float32 [B, (2 + O) A].

        Of an action, only the part inside the walls of the box counts.
        """
        tool = latent[:, : self.axes]
        seen = (latent[:, self.axes :] - tool.repeat(1, self.objects)) * RELATIVE_SCALE
        inside = torch.minimum(torch.maximum(tool + action, -self.reach), self.reach) - tool
        return torch.cat((seen, before, inside), dim=1)

    def loss(self, latents: Tensor, before: Tensor, actions: Tensor, after: Tensor) -> Tensor:
        """Return the mean error of all members, each on transitions of its own: float32 [K, B, ...] each."""
        shape = latents.shape[:2]
        flat = [part.flatten(0, 1) for part in (latents, before, actions)]
        changes = self._changes(self.inputs(*flat).unflatten(0, shape))
        return functional.smooth_l1_loss(changes, after - latents, beta=HUBER)

    def _changes(self, inputs: Tensor) -> Tensor:
        """Return z' - z of every member: inputs [B, I], the same for all, or [K, B, I] -> [K, B, L]."""
        changes = inputs.expand(self.members, *inputs.shape[-2:])
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            changes = torch.baddbmm(bias, changes, weight)
            changes = functional.silu(changes) if number + 1 < len(self.weights) else changes
        return changes

    def _moved(self, latent: Tensor, change: Tensor) -> Tensor:
        """Return z + change, but for objects out of the tool's reach, which stay: [..., B, L]."""
        moving = [change[..., : self.axes]]
        for number in range(1, self.objects + 1):
            part = slice(number * self.axes, (number + 1) * self.axes)
            near = (latent[:, part] - latent[:, : self.axes]).norm(dim=1, keepdim=True) < NEAR
            moving.append(change[..., part] * near)
        return latent + torch.cat(moving, dim=-1)


class DynamicsTrainer:
    """Fits a model of the dynamics to a replay buffer, in batches in which contact is not rare."""

    def __init__(self, dynamics: Dynamics, learning_rate: float) -> None:
        self.dynamics = dynamics
        self.optimiser = torch.optim.Adam(dynamics.parameters(), learning_rate)

    def fit(self, replay: ReplayBuffer, updates: int, batch: int, rng: np.random.Generator) -> dict[str, float]:
        """Take gradient steps on batches of which a third is of any steps, one of near objects, one of pushed ones."""
        frames = lessons(replay, self.dynamics.axes)
        kinds = [frames, *contacts(replay, frames, self.dynamics.axes)]
        kinds = [kind if len(kind) else frames for kind in kinds]
        for _ in range(updates):
            shape = self.dynamics.members, batch // len(kinds)
            chosen = np.concatenate([kind[rng.integers(len(kind), size=shape)] for kind in kinds], axis=1)
            arrays = (replay.latents[chosen], replay.actions[chosen - 1], replay.actions[chosen])
            loss = self.dynamics.loss(*map(torch.from_numpy, (*arrays, replay.latents[chosen + 1])))
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
        return {"dynamics/loss": float(loss.detach())}


def lessons(replay: ReplayBuffer, axes: int) -> np.ndarray:
    """Return the frames from which a step was taken in which nobody moved an object by hand: int64 [N]."""
    frames = np.flatnonzero(replay.last(np.arange(replay.size)) > np.arange(replay.size))
    moved = replay.latents[frames + 1] - replay.latents[frames]
    objects = moved[:, axes:].reshape(len(frames), -1, axes)
    return frames[(np.linalg.norm(objects, axis=2) <= BY_HAND).all(axis=1)]


def contacts(replay: ReplayBuffer, frames: np.ndarray, axes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return those of the frames at which an object is near the tool, and those from which one is pushed."""
    latents = replay.latents[frames]
    moved = (replay.latents[frames + 1] - latents)[:, axes:].reshape(len(frames), -1, axes)
    seen = latents[:, axes:].reshape(len(frames), -1, axes) - latents[:, None, :axes]
    near = (np.linalg.norm(seen, axis=2) < NEAR).any(axis=1)
    pushed = (np.linalg.norm(moved, axis=2) > STIRRED).any(axis=1)
    return frames[near], frames[near & pushed]
