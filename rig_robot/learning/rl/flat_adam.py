"""Adam (Kingma and Ba 2015) on one vector that holds all parameters, for the fast TD3.

It calls `torch._fused_adam_`, which is private to torch: no other file does.
"""

from collections.abc import Iterable

import torch
from torch import Tensor


def side_by_side(tensors: Iterable[Tensor]) -> Tensor:
    """Return one new vector that holds the tensors, which become views of it: what changes it changes them all."""
    tensors = list(tensors)
    vector = torch.cat([tensor.detach().flatten() for tensor in tensors])
    start = 0
    for tensor in tensors:
        tensor.data = vector[start : start + tensor.numel()].view(tensor.shape)
        start += tensor.numel()
    return vector


class Adam(torch.optim.Adam):
    """torch's Adam without the Python loops of its `step`, which took longer than the arithmetic of small networks.

    .. note:: The parameters must not be given other memory afterwards (`Module.to`, `copy.deepcopy`).
    """

    def __init__(self, parameters: Iterable[Tensor], learning_rate: float) -> None:
        parameters = list(parameters)
        self.vector = side_by_side(parameters)
        super().__init__([self.vector], learning_rate, fused=True)
        zeros = {"step": torch.zeros(()), **{name: torch.zeros_like(self.vector) for name in ("exp_avg", "exp_avg_sq")}}
        self.state[self.vector] = zeros
        self.slope = torch.zeros_like(self.vector)
        sizes = [parameter.numel() for parameter in parameters]
        views = zip(self.slope.split(sizes), parameters, strict=True)
        self.slopes = [view.view(parameter.shape) for view, parameter in views]
        """where the gradient of each parameter is to be written"""

    def reset(self) -> None:
        """Forget all former steps."""
        for tensor in self.state[self.vector].values():
            tensor.zero_()

    def descend(self) -> None:
        """Take one step down the gradients in `slopes`."""
        (group,), state = self.param_groups, self.state[self.vector]
        beta1, beta2 = group["betas"]
        state["step"] += 1
        torch._fused_adam_(
            [self.vector],
            [self.slope],
            [state["exp_avg"]],
            [state["exp_avg_sq"]],
            [],
            [state["step"]],
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=0.0,
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )
