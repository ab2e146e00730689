"""The oracle's representation where there are objects: true positions, which only a simulation knows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.representations.base import Log
from rig_robot.learning.rl.replay_buffer import Frames, ReplayBuffer


class Positions(nn.Module):
    """Places of the tool and of each object along the axes of the actions, in actions from the middle of the box."""

    middle: Tensor
    units, found = 0, True
    """Nothing is to be learned."""

    def __init__(self, box: ActionBox, objects: int) -> None:
        super().__init__()
        self.axes, self.objects, self.size = box.size, objects, (1 + objects) * box.size
        self.register_buffer("middle", torch.from_numpy(((box.low + box.high) / 2).astype(np.float32)))
        self.action_m = box.action_m

    @property
    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """There are none."""
        return {}

    def fit(self, replay: ReplayBuffer, unit: int, rng: np.random.Generator) -> Log:
        """There is nothing to do."""
        return {}

    def encode_all(self, replay: ReplayBuffer) -> tuple[np.ndarray, np.ndarray]:
        """Return `look` of all frames of the buffer."""
        return self.look(replay.frames(np.arange(replay.size)))

    def settled(self, latents: np.ndarray, sure: np.ndarray) -> np.ndarray:
        """Return the latents of an episode, [T, L]: they have no noise."""
        return latents

    def look(self, frames: Frames) -> tuple[np.ndarray, np.ndarray]:
        """Return the vectors of frames, float32 [B, L], and that each object is seen, bool [B]."""
        return self.encode(frames), np.ones(len(frames.states), bool)

    @torch.inference_mode()
    def encode(self, frames: Frames) -> np.ndarray:
        """Return the vectors of frames, float32 [B, L]; their states are places, [B, L] m."""
        return self(frames).numpy()

    def forward(self, frames: Frames) -> Tensor:
        """See `encode`."""
        return (torch.from_numpy(frames.states) - self.middle.repeat(1 + self.objects)) / self.action_m
