"""Improves a policy by gradients through a model of the dynamics, and a value where the model's horizon ends.

Stochastic value gradients, SVG(H) (Heess et al. 2015, arXiv 1510.09142), with the lambda = 1 returns of Dreamer (Hafner
et al. 2020, 1912.01603, equations 4 to 8). TD3 on the same model gets there, too, with some ten times the updates.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rig_robot.learning.planning.dynamics import RELATIVE_SCALE, Dynamics
from rig_robot.learning.rl.actor_critic import Actor, Mlp
from rig_robot.learning.rl.reward import weighted_reward

WAY_SCALE = 0.2
"""Factor on the way left, in actions: across the table, inputs are about 1"""
NOISE = 0.1
"""Standard deviation of the noise on actions within the model"""
LARGEST_GRADIENT = 10.0
"""Norm at which the actor's gradient is cut: through a contact it can be any"""


class Moment(NamedTuple):
    """Moments of B imagined episodes; float32."""

    latent: Tensor
    """[B, L]"""
    before: Tensor
    """[B, A], the action of the step before"""
    goal: Tensor
    """[B, L]"""


def relations(axes: int, objects: int, reach: Tensor) -> Tensor:
    """Return the matrix [2 L, F] from (z, g - z) to what an actor should see: all ways between tool, objects and goals.

    A linear layer could form them itself; with them as inputs, of size about 1, it need not find that out.
    """
    size = (1 + objects) * axes
    place, way = torch.eye(size, 2 * size), torch.eye(2 * size)[size:]
    tool = place[:axes]
    rows = [place / reach.repeat(1 + objects)[:, None], way * WAY_SCALE]
    for number in range(1, objects + 1):
        rows.append((place[number * axes : (number + 1) * axes] - tool) * RELATIVE_SCALE)
    return torch.cat(rows).T


class RelationalActor(nn.Module):
    """pi(z, g) in [-1, 1], of the ways between things; with `rest_at_goal` pi(z, z) = 0, as of `rl.actor_critic.Actor`.

    `folded` is the same as such an actor.
    """

    relations: Tensor

    def __init__(self, dynamics: Dynamics, hidden: tuple[int, ...], rest_at_goal: bool = True) -> None:
        super().__init__()
        self.register_buffer("relations", relations(dynamics.axes, dynamics.objects, dynamics.reach), persistent=False)
        self.layers, self.rest_at_goal = Mlp(self.relations.shape[1], hidden, dynamics.axes), rest_at_goal

    def forward(self, latent: Tensor, goal: Tensor) -> Tensor:
        """latent, goal: float32 [B, L] -> float32 [B, A]."""
        wish = self.layers(Actor.inputs(latent, goal) @ self.relations)
        if self.rest_at_goal:
            wish = wish - self.layers(Actor.inputs(latent, latent) @ self.relations)
        return torch.tanh(wish)

    def folded(self) -> dict[str, Tensor]:
        """Return the state of an `Actor` that does the same, which is what checkpoints hold."""
        state = {f"layers.{name}": tensor.detach().clone() for name, tensor in self.layers.state_dict().items()}
        return state | {"layers.0.weight": state["layers.0.weight"] @ self.relations.T}


class RelationalValue(nn.Module):
    """V(z, a_before, g): what the actor will have earned from here on."""

    relations: Tensor

    def __init__(self, dynamics: Dynamics, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.axes, self.objects = dynamics.axes, dynamics.objects
        self.register_buffer("relations", relations(dynamics.axes, dynamics.objects, dynamics.reach), persistent=False)
        self.layers = Mlp(self.relations.shape[1] + 1 + 2 * self.objects + self.axes, hidden, 1, layer_norm=True)

    def forward(self, latent: Tensor, before: Tensor, goal: Tensor) -> Tensor:
        """latent, goal: float32 [B, L], before: float32 [B, A] -> float32 [B], never above 0."""
        seen = torch.cat((latent, goal - latent), dim=-1) @ self.relations
        # Distances, which a network would have to build from many pieces, beside the ways: of the tool and of the
        # objects to their goals, and of the tool to the objects.
        ways = seen[..., latent.shape[-1] :].unflatten(-1, (-1, self.axes)).norm(dim=-1)
        return self.layers(torch.cat((seen, ways, before), dim=-1)).squeeze(-1).clamp(max=0)


class ValueGradients(nn.Module):
    """Actor, value and the value's target, and their optimisers."""

    def __init__(
        self,
        dynamics: Dynamics,
        hidden: tuple[int, ...],
        steps: int,
        gamma: float,
        tool_weight: float,
        learning_rate: float,
        rest_at_goal: bool = True,
        tau: float = 0.02,
    ) -> None:
        """Make a new actor and value.

        Args:
            dynamics: The model; it is not changed.
            hidden: Widths of the hidden layers of both.
            steps: H, how many steps of the model each gradient passes through.
            gamma: Discount per step.
            tool_weight: How much the tool's distance counts beside the objects'.
            learning_rate: At the start; see `set_rate`.
            rest_at_goal: See `RelationalActor`.
            tau: Share of the value's weights that the target takes over per update.
        """
        super().__init__()
        self.steps, self.gamma, self.tool_weight, self.tau = steps, gamma, tool_weight, tau
        self.axes = dynamics.axes
        self.actor = RelationalActor(dynamics, hidden, rest_at_goal)
        self.value = RelationalValue(dynamics, hidden)
        self.target = copy.deepcopy(self.value).requires_grad_(False)
        self.actor_optimiser = torch.optim.Adam(self.actor.parameters(), learning_rate)
        self.value_optimiser = torch.optim.Adam(self.value.parameters(), learning_rate)

    @property
    def optimisers(self) -> dict[str, torch.optim.Adam]:
        """Both optimisers, by the names that a saved training state has for them."""
        return {name: getattr(self, name) for name in ("actor_optimiser", "value_optimiser")}

    def set_rate(self, rate: float) -> None:
        """Set both learning rates."""
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate

    def update(self, dynamics: Dynamics, start: Moment, member: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Take one gradient step of actor and value from imagined moments; member: the network of the model to use."""
        goal, moment = start.goal, start
        passed: list[Moment] = []
        rewards: list[Tensor] = []
        for _ in range(self.steps):
            passed.append(moment)
            noise = NOISE * torch.randn(moment.before.shape, generator=generator)
            action = (self.actor(moment.latent, goal) + noise).clamp(-1, 1)
            moment = Moment(dynamics(moment.latent, moment.before, action, member), action, goal)
            rewards.append(self.reward(moment.latent, goal))

        returned = self.value(*moment)
        for earned in reversed(rewards):
            returned = earned + self.gamma * returned
        actor_loss = -returned.mean()
        self.actor_optimiser.zero_grad()
        actor_loss.backward()
        nn.utils.clip_grad_norm_(self.actor.parameters(), LARGEST_GRADIENT)
        self.actor_optimiser.step()

        with torch.no_grad():
            following = self.target(*moment)
            wanted: list[Tensor] = []
            for earned in reversed(rewards):
                following = earned + self.gamma * following
                wanted.insert(0, following)
        seen = Moment(*(torch.stack(parts).detach() for parts in zip(*passed, strict=True)))
        value_loss = nn.functional.mse_loss(self.value(*seen), torch.stack(wanted))
        self.value_optimiser.zero_grad()
        value_loss.backward()
        self.value_optimiser.step()
        with torch.no_grad():
            for follower, leader in zip(self.target.parameters(), self.value.parameters(), strict=True):
                follower.lerp_(leader, self.tau)
        return {"actor_loss": actor_loss.detach(), "value_loss": value_loss.detach()}

    def reward(self, latent: Tensor, goal: Tensor) -> Tensor:
        """Return the reward of places: latent, goal float32 [B, L] -> float32 [B]."""
        return WAY_SCALE * weighted_reward(latent, goal, self.axes, self.tool_weight)
