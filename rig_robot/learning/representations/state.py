"""The oracle's representation: the tool's true position, which only a simulation knows."""

import numpy as np
import torch
from torch import Tensor

from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.representations.base import Log, Representation
from rig_robot.learning.rl.replay_buffer import Frames, ReplayBuffer


class State(Representation):
    """The tool's true position along the axes that it moves along, in units of its standard deviation over the data."""

    centre: Tensor
    scale: Tensor

    def __init__(self, args: TrainArgs, box: ActionBox) -> None:
        super().__init__(args, box)
        self.size, self.units = box.size, 1
        self.register_buffer("centre", torch.zeros(box.size))
        self.register_buffer("scale", torch.ones(()))

    def fit(self, replay: ReplayBuffer, unit: int, rng: np.random.Generator) -> Log:
        positions = torch.from_numpy(replay.states[: replay.size, : self.size])
        self.centre.copy_(positions.mean(dim=0))
        self.scale.copy_(positions.var(dim=0).mean().sqrt())
        return {}

    def forward(self, frames: Frames) -> Tensor:
        return (torch.from_numpy(frames.states[:, : self.size]) - self.centre) / self.scale
