"""The networks' two passes written out by hand, for the fast TD3 (docs/speed.md).

Nobody needs to read this to understand or change the algorithm: `actor_critic.Mlp` has the same layers and parameters,
and `tests/test_td3.py` compares the two.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rig_robot.learning.rl.actor_critic import Mlp

Kept = list[tuple[Tensor, ...]]
"""What `FastMlp.run` keeps for `FastMlp.gradients`, for each layer: its input; for a normalised layer also the output
before LayerNorm, and LayerNorm's mean and 1 / deviation"""


class FastMlp(Mlp):
    """An `Mlp` with a forward pass, `run`, and a backward pass, `gradients`, that need no graph of autograd.

    .. note:: Autograd's bookkeeping for a dozen small operations takes as long as the operations. Where autograd is on,
       the whole network is therefore one node of its graph (docs/speed.md).
    """

    def __init__(self, width: int, hidden: Sequence[int], out: int, layer_norm: bool = False) -> None:
        super().__init__(width, hidden, out, layer_norm)
        self.weights = tuple(self.parameters())
        """weight and bias of each layer, and scale and shift of its LayerNorm if it has one"""
        step = 4 if layer_norm else 2
        self.by_layer = tuple(self.weights[i : i + step] for i in range(0, len(self.weights), step))

    def forward(self, x: Tensor) -> Tensor:
        """float32 [B, width] -> float32 [B, out]."""
        return _Node.apply(self, x, *self.weights) if torch.is_grad_enabled() else self.run(x)[0]

    def run(self, x: Tensor) -> tuple[Tensor, Kept]:
        """Run the forward pass where autograd is off: float32 [B, out], and what `gradients` needs."""
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
        """Run the backward pass; return dL/dx, float32 [B, width], if `inputs`.

        Args:
            kept: From `run` on the same input x.
            slope: dL/dy, float32 [B, out].
            into: Where to write dL/d(each of `weights`); None: they are not computed.
            inputs: Whether dL/dx is computed.
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
    """A whole network as one node of the graph of autograd."""

    @staticmethod
    def forward(ctx: Any, network: FastMlp, x: Tensor, *weights: Tensor) -> Tensor:
        output, ctx.kept = network.run(x)
        ctx.network = network
        return output

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        _, inputs, weights, *_ = ctx.needs_input_grad
        into = [torch.empty_like(weight) for weight in ctx.network.weights] if weights else None
        slope = ctx.network.gradients(ctx.kept, *slopes, into, inputs)
        return None, slope if inputs else None, *(into or (None for _ in ctx.network.weights))
