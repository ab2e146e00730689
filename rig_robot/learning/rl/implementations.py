"""The implementations of TD3 that `rig train --implementation` chooses from."""

from rig_robot.learning.arguments import Implementation, TrainArgs
from rig_robot.learning.rl.fast_td3 import FastTd3
from rig_robot.learning.rl.td3 import Td3

IMPLEMENTATIONS: dict[Implementation, type[Td3]] = {"fast": FastTd3, "readable": Td3}


def make_td3(latent_size: int, action_size: int, args: TrainArgs) -> Td3:
    """Return new networks and optimisers of the implementation that the arguments name."""
    return IMPLEMENTATIONS[args.implementation](latent_size, action_size, args)
