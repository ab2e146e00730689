"""Reads a checkpoint back into networks that learn on; `export.py` writes it."""

import typing
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rig_robot.checkpoints.checkpoint import read_tensors
from rig_robot.checkpoints.config import CheckpointConfig, CheckpointError
from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.checkpoint_io.export import CALIBRATION
from rig_robot.learning.push_arguments import PushArgs
from rig_robot.learning.representations import find
from rig_robot.learning.representations.latent import Latent
from rig_robot.learning.rig import Rig
from rig_robot.learning.rl.goal_prior import Prior
from rig_robot.learning.rl.td3 import Td3
from rig_robot.learning.vae.split_vae import SplitVae
from rig_robot.learning.vae.vae import Vae

PROBES = 2000
"""Latents and actions at which the predictor is evaluated"""


def arguments(config: CheckpointConfig, out: Path, name: str = "the checkpoint") -> TrainArgs:
    """Return the arguments with which a checkpoint's networks were made and trained.

    Args:
        config: The checkpoint's configuration.
        out: Directory of the training that goes on.
        name: Of the checkpoint, for errors.

    Raises:
        CheckpointError: If they are missing or wrong, or a robot cannot learn on with them.
    """
    if config.vae.objects:
        raise CheckpointError(f"{name} was trained to push, expected one to reach")
    # Of a checkpoint from before there was a choice, the networks say which it was.
    chosen = {"representation": "controllable" if config.vae.scene_size else "latent"}
    training = chosen | {"rest_at_goal": config.policy.rest_at_goal} | config.training
    known = _known(TrainArgs, training, name) | {"offline": None}
    try:
        args = TrainArgs(**(known | {"out": out}))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{name}: its `training` cannot be gone on with: {error}") from error
    if not find(args.representation).deployable or args.image_size != config.camera.image_size:
        raise CheckpointError(
            f"{name}: its `training` has representation {args.representation} and image_size {args.image_size}, "
            f"expected controllable or latent, and {config.camera.image_size}"
        )
    for key, of_networks in (
        ("channels", config.vae.channels),
        ("hidden", config.policy.hidden),
        ("rest_at_goal", config.policy.rest_at_goal),
    ):
        if getattr(args, key) != of_networks:
            raise CheckpointError(
                f"{name}: training.{key} is {getattr(args, key)}, expected {of_networks}, which its networks have"
            )
    return args


def push_arguments(config: CheckpointConfig, out: Path, name: str = "the checkpoint") -> PushArgs:
    """Return the arguments with which a checkpoint that pushes was made and trained; see `arguments`."""
    if not config.vae.objects:
        raise CheckpointError(f"{name} was trained to reach, expected one to push")
    training = {"rest_at_goal": config.policy.rest_at_goal} | config.training
    try:
        args = PushArgs(**(_known(PushArgs, training, name) | {"out": out}))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{name}: its `training` cannot be gone on with: {error}") from error
    if args.representation != "objects" or args.image_size != config.camera.image_size:
        raise CheckpointError(
            f"{name}: its `training` has representation {args.representation} and image_size {args.image_size}, "
            f"expected objects, and {config.camera.image_size}"
        )
    return args


def _known(kind: type, training: dict[str, Any], name: str) -> dict[str, Any]:
    """Return those entries of a checkpoint's `training` that are arguments of this kind.

    Raises:
        CheckpointError: If one is of another type.
    """
    known: dict[str, Any] = {}
    for key, hint in typing.get_type_hints(kind).items():
        if key in training and key not in ("offline", "out"):
            value = training[key]
            known[key] = tuple(value) if isinstance(value, list) else value
            if not _fits(hint, known[key]):
                raise CheckpointError(f"{name}: training.{key} is {repr(value)[:200]}, expected {_named(hint)}")
    return known


def _fits(hint: Any, value: Any) -> bool:
    """Return whether a value from JSON is of the type of an argument."""
    kinds = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return value in kinds
    if typing.get_origin(hint) is tuple:
        wanted = [kinds[0]] * len(value) if isinstance(value, tuple) and kinds[-1] is Ellipsis else list(kinds)
        return isinstance(value, tuple) and len(value) == len(wanted) and all(map(_fits, wanted, value))
    if hint is float:
        return type(value) in (int, float)
    return type(value) is hint


def _named(hint: Any) -> str:
    """Return a type in words."""
    if typing.get_origin(hint) is typing.Literal:
        return f"one of {', '.join(map(str, typing.get_args(hint)))}"
    return getattr(hint, "__name__", str(hint)) if isinstance(hint, type) else str(hint)


def make_vae(config: CheckpointConfig) -> Vae | SplitVae:
    """Return a new VAE of a checkpoint's architecture; the caller loads its weights."""
    entry, size = config.vae, config.camera.image_size
    if entry.scene_size:
        reach = ActionBox.of_entries(config.action, config.workspace).reach.tolist()
        return SplitVae(size, reach, entry.scene_size, entry.channels)
    return Vae(size, entry.latent_size, entry.channels, "bernoulli" if entry.likelihood == "bernoulli" else "gaussian")


def load(directory: Path, config: CheckpointConfig, rig: Rig) -> None:
    """Load a checkpoint's networks into `rig`, with target networks as copies and optimisers before their first step.

    Raises:
        CheckpointError: If the tensors do not fit the architecture in config.json.
    """
    vae, td3 = rig.representation, rig.td3
    assert isinstance(vae, Latent)
    tensors = {name: torch.from_numpy(array.copy()) for name, array in read_tensors(directory, config.policy).items()}
    learnt = {
        name.removeprefix(CALIBRATION): tensors.pop(name) for name in list(tensors) if name.startswith(CALIBRATION)
    }
    tensors |= {f"target_{name}": value for name, value in tensors.items() if name.startswith(("actor.", "critics."))}
    try:
        vae.vae.load_state_dict(
            {name: torch.from_numpy(array.copy()) for name, array in read_tensors(directory, config.vae).items()}
        )
        td3.load_state_dict(tensors)
        rig.prior = Prior(np.array(config.latent_prior.mean), np.array(config.latent_prior.covariance))
        if vae.calibration is not None and config.trained:
            wanted = vae.calibration.state_dict().keys()
            given = learnt or calibration(td3, rig.prior)
            vae.calibration.load_state_dict({name: value for name, value in given.items() if name in wanted})
    except (RuntimeError, TypeError) as error:
        raise CheckpointError(f"{directory}: its tensors do not fit its `training`: {error}") from error
    vae.reset_optimiser()
    td3.reset_optimisers()


@torch.inference_mode()
def calibration(td3: Td3, prior: Prior) -> dict[str, torch.Tensor]:
    """Return `moves`, how far a latent moves per action [L, A], and `late`, a share as a logit, from the predictor.

    The predictor maps a latent, the action before and the action to the next latent: least squares over latents of the
    prior gives the shares of the two actions. No image is needed, so the result is right also in a new view.
    """
    rng = np.random.default_rng(0)
    latents = torch.from_numpy(prior.sample(rng, PROBES))
    size = td3.action_size
    before, action = (torch.from_numpy(rng.uniform(-1, 1, (PROBES, size)).astype(np.float32)) for _ in range(2))
    moved = td3.predictor(latents, before, action) - latents
    known = torch.cat((before, action, torch.ones(PROBES, 1)), dim=1)
    found = torch.linalg.lstsq(known, moved).solution
    early, late = found[size : 2 * size].T, found[:size].T
    share = (late.norm() / (late.norm() + early.norm())).clamp(0.01, 0.99)
    return {"moves": early + late, "late": torch.logit(share)}
