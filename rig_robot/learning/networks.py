"""Actor and critics as universal value function approximators (UVFA): the goal is an input like the state."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Actor(nn.Module):
    """Deterministic goal-conditioned policy: (latent, goal) -> action in [-1, 1]."""

    def __init__(self, latent_size: int, action_size: int, hidden: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 2 * latent_size
        for size in hidden:
            layers += [nn.Linear(width, size), nn.ReLU()]
            width = size
        self.layers = nn.Sequential(*layers, nn.Linear(width, action_size), nn.Tanh())

    def forward(self, latent: Tensor, goal: Tensor) -> Tensor:
        """latent, goal: float32 [B, L] -> float32 [B, A]."""
        return self.layers(torch.cat((latent, goal), dim=1))


class Critic(nn.Module):
    """Q(latent, action, goal), with LayerNorm: without it early learning is up to half as good (docs/learning.md)."""

    def __init__(self, latent_size: int, action_size: int, hidden: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 2 * latent_size + action_size
        for size in hidden:
            layers += [nn.Linear(width, size), nn.LayerNorm(size), nn.ReLU()]
            width = size
        self.layers = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, latent: Tensor, action: Tensor, goal: Tensor) -> Tensor:
        """latent, goal: float32 [B, L], action: float32 [B, A] -> float32 [B]."""
        return self.layers(torch.cat((latent, action, goal), dim=1)).squeeze(1)
