"""Actor and critics as universal value function approximators (UVFA): the goal is an input like the state.

The goal goes in as the way that is left, g - z: near the goal that is what matters, and it is small beside both.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def mlp(width: int, hidden: Sequence[int], out: int, layer_norm: bool = False) -> nn.Sequential:
    """Hidden layers with ReLU, each normalised before it if so wished, and a linear one."""
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(width, size), *([nn.LayerNorm(size)] if layer_norm else []), nn.ReLU()]
        width = size
    return nn.Sequential(*layers, nn.Linear(width, out))


class Actor(nn.Module):
    """Deterministic goal-conditioned policy: (latent, goal) -> action in [-1, 1]."""

    def __init__(self, latent_size: int, action_size: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.layers = mlp(2 * latent_size, hidden, action_size)

    def forward(self, latent: Tensor, goal: Tensor) -> Tensor:
        """latent, goal: float32 [B, L] -> float32 [B, A]."""
        return torch.tanh(self.layers(torch.cat((latent, goal - latent), dim=1)))


class Critic(nn.Module):
    """Value of (latent, action, goal). LayerNorm: without it early learning is slower by half (docs/learning.md)."""

    def __init__(self, latent_size: int, action_size: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.layers = mlp(2 * latent_size + action_size, hidden, 1, layer_norm=True)

    def forward(self, latent: Tensor, action: Tensor, goal: Tensor) -> Tensor:
        """latent, goal: float32 [B, L], action: float32 [B, A] -> float32 [B]."""
        return self.layers(torch.cat((latent, action, goal - latent), dim=1)).squeeze(1)


class Predictor(nn.Module):
    """Where a step leads: (latent, the action before, action) -> expected next latent.

    The action before counts, because the delay lets it go on for a part of the step.
    """

    def __init__(self, latent_size: int, action_size: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.layers = mlp(latent_size + 2 * action_size, hidden, latent_size)

    def forward(self, latent: Tensor, before: Tensor, action: Tensor) -> Tensor:
        """latent: float32 [B, L]; before, action: float32 [B, A] -> float32 [B, L]."""
        return latent + self.layers(torch.cat((latent, before, action), dim=1))
