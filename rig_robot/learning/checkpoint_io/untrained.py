"""Writes the untrained checkpoint of a task: an ordinary checkpoint whose networks have learned nothing yet.

A robot that learns from nothing must still know how a frame becomes an observation and what an action means; and nodes
that start with an ordinary checkpoint need no special case.
"""

import dataclasses
from pathlib import Path

import numpy as np
import torch

from rig_robot.checkpoints import checkpoint
from rig_robot.checkpoints.config import ActionEntry, CameraEntry, PlacesEntry, WorkspaceEntry
from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.checkpoint_io import export
from rig_robot.learning.push_arguments import PushArgs
from rig_robot.learning.representations import find, make
from rig_robot.learning.representations.latent import Latent
from rig_robot.learning.representations.objects import ObjectLatent
from rig_robot.learning.rl.actor_critic import Actor
from rig_robot.learning.rl.goal_prior import Prior
from rig_robot.learning.rl.implementations import make_td3


def create(
    directory: Path, camera: CameraEntry, action: ActionEntry, workspace: WorkspaceEntry, args: TrainArgs
) -> Path:
    """Write the untrained checkpoint of a task as `directory` and return it.

    Its `training["samples"]` is 0. A whole checkpoint of a former call stays as it is.

    Raises:
        ValueError: If the arguments do not fit the task, or another file is in the way.
    """
    if args.image_size != camera.image_size:
        raise ValueError(f"image_size is {args.image_size}, expected {camera.image_size}, as the camera's entry says")
    if not find(args.representation).deployable:
        raise ValueError(
            f"representation is {args.representation}, expected controllable or latent: robots act on latents"
        )
    if directory.exists():
        checkpoint.read_config(directory)
        return directory
    torch.manual_seed(args.seed)
    representation = make(args, ActionBox.of_entries(action, workspace))
    assert isinstance(representation, Latent)  # deployable representations are
    size = representation.size
    td3 = make_td3(size, len(action.axes), args)
    prior = Prior(np.zeros(size), np.eye(size))
    config = export.config(representation, args, camera, action, workspace, prior, {"step": 0, "samples": 0}, {})
    checkpoint.save(directory, config, *export.tensors(representation, td3))
    return directory


def create_to_push(
    directory: Path, camera: CameraEntry, action: ActionEntry, workspace: WorkspaceEntry, args: PushArgs
) -> Path:
    """Write the untrained checkpoint of a task of pushing; see `create`. Objects may be anywhere in the tool's box."""
    if args.image_size != camera.image_size:
        raise ValueError(f"image_size is {args.image_size}, expected {camera.image_size}, as the camera's entry says")
    if directory.exists():
        checkpoint.read_config(directory)
        return directory
    torch.manual_seed(args.seed)
    box = ActionBox.of_entries(action, workspace)
    representation = ObjectLatent(args, box)
    size = representation.size
    layers = Actor(size, box.size, args.hidden).state_dict()
    actor = {f"actor.{name}": tensor.numpy() for name, tensor in layers.items()}
    prior = Prior(np.zeros(size), np.eye(size))
    config = export.config(representation, args, camera, action, workspace, prior, {"step": 0, "samples": 0}, {})
    reach = tuple(map(float, np.tile(box.reach, 2)))
    places = PlacesEntry(tuple(-side for side in reach), reach, 0.0)
    checkpoint.save(directory, dataclasses.replace(config, places=places), representation.tensors(), actor)
    return directory
