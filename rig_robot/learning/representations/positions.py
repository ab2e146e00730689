"""The oracle's representation where there are objects: true positions, which only a simulation knows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.rl.replay_buffer import Frames


class Positions(nn.Module):
    """Places of the tool and of each object along the axes of the actions, in actions from the middle of the box."""

    middle: Tensor

    def __init__(self, box: ActionBox, objects: int) -> None:
        super().__init__()
        self.axes, self.objects, self.size = box.size, objects, (1 + objects) * box.size
        self.register_buffer("middle", torch.from_numpy(((box.low + box.high) / 2).astype(np.float32)))
        self.action_m = box.action_m

    @torch.inference_mode()
    def encode(self, frames: Frames) -> np.ndarray:
        """Return the vectors of frames, float32 [B, L]; their states are places, [B, L] m."""
        return self(frames).numpy()

    def forward(self, frames: Frames) -> Tensor:
        """See `encode`."""
        return (torch.from_numpy(frames.states) - self.middle.repeat(1 + self.objects)) / self.action_m
