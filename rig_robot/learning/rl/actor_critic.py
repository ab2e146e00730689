"""Actor, critics and value as universal value function approximators (UVFA; Schaul et al. 2015).

The goal is an input like the state, whatever the two are made of: tool positions, pixels or latents. It goes in as the
way that is left, g - z: near the goal that is what matters, and it is small beside both.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rig_robot.learning.rl.reward import reward

Kept = list[tuple[Tensor, ...]]
"""What `Mlp.run` leaves for `Mlp.gradients`, of each layer: its input; if normalised also what was, its mean, 1 / its
deviation"""


class Mlp(nn.Sequential):
    """Hidden layers with ReLU, each normalised before it if so wished, and a linear one.

    .. note:: Autograd's bookkeeping for a dozen small operations takes as long as the operations. So a whole network is
       one node of its graph; and where weights are all that is fitted there need be no graph: `run` and `gradients`
       are the two passes (docs/speed.md).
    """

    def __init__(self, width: int, hidden: Sequence[int], out: int, layer_norm: bool = False) -> None:
        layers: list[nn.Module] = []
        for size in hidden:
            layers += [nn.Linear(width, size), *([nn.LayerNorm(size)] if layer_norm else []), nn.ReLU()]
            width = size
        super().__init__(*layers, nn.Linear(width, out))
        self.weights = tuple(self.parameters())
        """weight and bias of each layer, and scale and shift of its normalisation if it has one"""
        step = 4 if layer_norm else 2
        self.by_layer = tuple(self.weights[i : i + step] for i in range(0, len(self.weights), step))

    def forward(self, x: Tensor) -> Tensor:
        """float32 [B, width] -> float32 [B, out]."""
        return _Node.apply(self, x, *self.weights) if torch.is_grad_enabled() else self.run(x)[0]

    def run(self, x: Tensor) -> tuple[Tensor, Kept]:
        """The forward pass, to be called where autograd is off."""
        kept: Kept = []
        for weight, bias, *norm in self.by_layer[:-1]:
            output = torch.mm(x, weight.t()).add_(bias)
            if norm:
                factor, shift = norm
                normal, mean, scale = torch.native_layer_norm(output, bias.shape, factor, shift, 1e-5)
                kept.append((x, output, mean, scale))
                output = normal
            else:
                kept.append((x,))
            x = output.relu_()
        kept.append((x,))
        weight, bias = self.by_layer[-1]
        return torch.mm(x, weight.t()).add_(bias), kept

    def gradients(
        self, kept: Kept, slope: Tensor, into: Sequence[Tensor] | None = None, inputs: bool = False
    ) -> Tensor:
        """The backward pass. slope: dL/dy, [B, out]. Returns dL/dx, [B, width], if `inputs` says that it is wanted.

        into: where to write dL/d(each of `weights`); None if those are not wanted.
        """
        output, step = slope, len(self.by_layer[0])
        for number in reversed(range(len(kept))):
            (x, *normalised), (weight, bias, *norm) = kept[number], self.by_layer[number]
            if number < len(kept) - 1:  # a hidden layer
                slope = torch.ops.aten.threshold_backward(slope, output, 0)
                if norm:
                    before, mean, scale = normalised
                    wanted = [True, into is not None, into is not None]
                    slope, *of_norm = torch.ops.aten.native_layer_norm_backward(
                        slope, before, bias.shape, mean, scale, *norm, wanted
                    )
                    if into:
                        for found, place in zip(of_norm, into[number * step + 2 :], strict=False):
                            place.copy_(found)
            if into:
                torch.mm(slope.t(), x, out=into[number * step])
                torch.sum(slope, dim=0, out=into[number * step + 1])
            if number or inputs:
                slope = torch.mm(slope, weight)
            output = x
        return slope


class _Node(torch.autograd.Function):
    """A whole network as one node of the graph."""

    @staticmethod
    def forward(ctx: Any, network: Mlp, x: Tensor, *weights: Tensor) -> Tensor:
        output, ctx.kept = network.run(x)
        ctx.network = network
        return output

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        _, inputs, weights, *_ = ctx.needs_input_grad
        into = [torch.empty_like(weight) for weight in ctx.network.weights] if weights else None
        slope = ctx.network.gradients(ctx.kept, *slopes, into, inputs)
        return None, slope if inputs else None, *(into or (None for _ in ctx.network.weights))


class Actor(nn.Module):
    """pi(z, g): deterministic goal-conditioned policy, actions in [-1, 1]."""

    def __init__(self, latent_size: int, action_size: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.layers = Mlp(2 * latent_size, hidden, action_size)

    def forward(self, latent: Tensor, goal: Tensor) -> Tensor:
        """latent, goal: float32 [B, L] -> float32 [B, A]."""
        return torch.tanh(self.layers(torch.cat((latent, goal - latent), dim=1)))


class Critic(nn.Module):
    """Q(z, a, g). What LayerNorm is worth: docs/learning.md."""

    def __init__(self, latent_size: int, action_size: int, hidden: Sequence[int], layer_norm: bool = True) -> None:
        super().__init__()
        self.layers = Mlp(2 * latent_size + action_size, hidden, 1, layer_norm)

    def forward(self, latent: Tensor, action: Tensor, goal: Tensor) -> Tensor:
        """latent, goal: float32 [B, L], action: float32 [B, A] -> float32 [B]."""
        return self.layers(self.inputs(latent, action, goal)).squeeze(1)

    @staticmethod
    def inputs(latent: Tensor, action: Tensor, goal: Tensor) -> Tensor:
        """What `layers` are given: float32 [B, 2 L + A]."""
        return torch.cat((latent, action, goal - latent), dim=1)


class Value(nn.Module):
    """V(z, g) of the policy. No part of the algorithm needs it: it is for seeing what the robot thinks of a place.

    Like the critics' networks, its network gives only what is added to the reward of the place, -||z - g||.
    """

    def __init__(self, latent_size: int, hidden: Sequence[int], layer_norm: bool = True) -> None:
        super().__init__()
        self.layers = Mlp(2 * latent_size, hidden, 1, layer_norm)

    def forward(self, latent: Tensor, goal: Tensor) -> Tensor:
        """latent, goal: float32 [B, L] -> float32 [B]."""
        added = self.layers(torch.cat((latent, goal - latent), dim=1)).squeeze(1)
        return added + reward(latent, goal)


class Predictor(nn.Module):
    """Where a step leads: (latent, the action before, action) -> expected next latent.

    The action before counts, because the delay lets it go on for a part of the step.
    """

    def __init__(self, latent_size: int, action_size: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.layers = Mlp(latent_size + 2 * action_size, hidden, latent_size)

    def forward(self, latent: Tensor, before: Tensor, action: Tensor) -> Tensor:
        """latent: float32 [B, L]; before, action: float32 [B, A] -> float32 [B, L]."""
        return latent + self.layers(self.inputs(latent, before, action))

    @staticmethod
    def inputs(latent: Tensor, before: Tensor, action: Tensor) -> Tensor:
        """What `layers` are given: float32 [B, L + 2 A]."""
        return torch.cat((latent, before, action), dim=1)
