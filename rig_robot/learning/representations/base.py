"""The interface of all representations: a state or a goal as a vector, made of what was seen.

Nothing that learns to act knows which representation it is. Distances in a representation are the reward.
"""

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor, nn

from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.rl.replay_buffer import Frames, ReplayBuffer

Log = dict[str, float]
"""figures for TensorBoard, by name"""


class Representation(nn.Module, ABC):
    """e(s): what was seen, as a vector. It is learned in `units` units of work on D, the explored frames.

    A subclass is made with the arguments of the run and the box that the tool moves in.
    """

    size: int
    """L, numbers in the vector"""
    units: int
    """units of work that learning it takes"""
    deployable = False
    """whether a robot's encoder node can compute it, so that checkpoints are written"""

    @abstractmethod
    def __init__(self, args: TrainArgs, box: ActionBox) -> None:
        super().__init__()

    @abstractmethod
    def fit(self, replay: ReplayBuffer, unit: int, rng: np.random.Generator) -> Log:
        """Do one unit of learning on everything in the buffer; unit: its number, from 0. Returns what to log."""

    def finish(self, replay: ReplayBuffer) -> None:
        """Do what is left to do whenever the whole buffer is about to be encoded anew."""

    @abstractmethod
    def forward(self, frames: Frames) -> Tensor:
        """Return the vectors of frames: float32 [B, L]."""

    @torch.inference_mode()
    def encode(self, frames: Frames) -> np.ndarray:
        """Return the vectors of frames: float32 [B, L]."""
        return self(frames).numpy()

    def encode_all(self, replay: ReplayBuffer, batch: int = 500) -> np.ndarray:
        """Return the vectors of all frames of the buffer: float32 [size, L]."""
        chunks = np.array_split(np.arange(replay.size), -(-replay.size // batch))
        return np.concatenate([self.encode(replay.frames(chunk)) for chunk in chunks])
