"""Actor, critics, value and predictor as universal value function approximators (UVFA; Schaul et al. 2015).

The goal is an input like the state, whatever the two are made of: tool positions, pixels or latents. Networks are given
the way left, g - z, in place of g: near the goal the way left is what matters, and it is small beside both.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rig_robot.learning.rl.reward import reward


class Mlp(nn.Sequential):
    """Hidden layers with ReLU, each with LayerNorm before its ReLU if `layer_norm`, and a linear output layer.

    float32 [B, width] -> float32 [B, out].
    """

    def __init__(self, width: int, hidden: Sequence[int], out: int, layer_norm: bool = False) -> None:
        layers: list[nn.Module] = []
        for size in hidden:
            layers += [nn.Linear(width, size), *([nn.LayerNorm(size)] if layer_norm else []), nn.ReLU()]
            width = size
        super().__init__(*layers, nn.Linear(width, out))


class Actor(nn.Module):
    """pi(z, g): deterministic goal-conditioned policy, actions in [-1, 1].

    With `rest_at_goal` it is tanh(f(z, g - z) - f(z, 0)), so that pi(z, z) = 0: an arm that is told nothing stays where
    it is, and the policy's only place to rest is the goal. Without, it rests a few millimetres beside it, where f
    happens to be 0 (docs/learning.md).
    """

    def __init__(
        self,
        latent_size: int,
        action_size: int,
        hidden: Sequence[int],
        mlp: type[Mlp] = Mlp,
        rest_at_goal: bool = True,
    ) -> None:
        super().__init__()
        self.layers, self.rest_at_goal = mlp(2 * latent_size, hidden, action_size), rest_at_goal

    def forward(self, latent: Tensor, goal: Tensor) -> Tensor:
        """latent, goal: float32 [B, L] -> float32 [B, A]."""
        wish = self.layers(self.inputs(latent, goal))
        return torch.tanh(wish - self.layers(self.inputs(latent, latent)) if self.rest_at_goal else wish)

    @staticmethod
    def inputs(latent: Tensor, goal: Tensor) -> Tensor:
        """Return the input of `layers`: float32 [B, 2 L]."""
        return torch.cat((latent, goal - latent), dim=1)


class Critic(nn.Module):
    """Q(z, a, g) but for the tip at the goal, which `Td3.values` adds. What LayerNorm is worth: docs/learning.md."""

    def __init__(
        self,
        latent_size: int,
        action_size: int,
        hidden: Sequence[int],
        layer_norm: bool = True,
        mlp: type[Mlp] = Mlp,
    ) -> None:
        super().__init__()
        self.layers = mlp(2 * latent_size + action_size, hidden, 1, layer_norm)

    def forward(self, latent: Tensor, action: Tensor, goal: Tensor) -> Tensor:
        """latent, goal: float32 [B, L], action: float32 [B, A] -> float32 [B]."""
        return self.layers(self.inputs(latent, action, goal)).squeeze(1)

    @staticmethod
    def inputs(latent: Tensor, action: Tensor, goal: Tensor) -> Tensor:
        """Return the input of `layers`: float32 [B, 2 L + A]."""
        return torch.cat((latent, action, goal - latent), dim=1)


class Value(nn.Module):
    """V(z, g) of the policy. The algorithm does not need it: it shows people how good a place is for the policy.

    Like the critics' networks, its network gives only what is added to the reward of the place, -||z - g||.
    """

    def __init__(self, latent_size: int, hidden: Sequence[int], layer_norm: bool = True, mlp: type[Mlp] = Mlp) -> None:
        super().__init__()
        self.layers = mlp(2 * latent_size, hidden, 1, layer_norm)

    def forward(self, latent: Tensor, goal: Tensor) -> Tensor:
        """latent, goal: float32 [B, L] -> float32 [B]."""
        added = self.layers(torch.cat((latent, goal - latent), dim=1)).squeeze(1)
        return added + reward(latent, goal)


class Predictor(nn.Module):
    """Where a step leads: (latent, the action before, action) -> expected next latent.

    The action before counts, because the delay lets it go on for a part of the step.
    """

    def __init__(self, latent_size: int, action_size: int, hidden: Sequence[int], mlp: type[Mlp] = Mlp) -> None:
        super().__init__()
        self.layers = mlp(latent_size + 2 * action_size, hidden, latent_size)

    def forward(self, latent: Tensor, before: Tensor, action: Tensor) -> Tensor:
        """latent: float32 [B, L]; before, action: float32 [B, A] -> float32 [B, L]."""
        return latent + self.layers(self.inputs(latent, before, action))

    @staticmethod
    def inputs(latent: Tensor, before: Tensor, action: Tensor) -> Tensor:
        """Return the input of `layers`: float32 [B, L + 2 A]."""
        return torch.cat((latent, before, action), dim=1)
