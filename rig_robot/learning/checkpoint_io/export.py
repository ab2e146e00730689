"""Writes what was learned as a checkpoint: its tensors and its configuration. `restore.py` reads them back."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rig_robot.checkpoints.checkpoint import save
from rig_robot.checkpoints.config import (
    ActionEntry,
    CameraEntry,
    CheckpointConfig,
    PicturesEntry,
    PolicyEntry,
    PriorEntry,
    VaeEntry,
    WorkspaceEntry,
)
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.push_arguments import PushArgs
from rig_robot.learning.representations.latent import Latent
from rig_robot.learning.rig import Rig
from rig_robot.learning.rl.goal_prior import Prior
from rig_robot.learning.rl.replay_buffer import Frames, ReplayBuffer
from rig_robot.learning.rl.td3 import Td3
from rig_robot.vision.goal_check import pictures_entry
from rig_robot.vision.view_check import Reference

SCENE_OBSERVATIONS = 1000
"""Most observations for the reference of the static scene, and for measuring which pictures the VAE knows"""
POLICY_PARTS = ("actor.", "critics.", "predictor.", "value.")
"""Parts of policy.safetensors: the actor, and the networks to learn on with; target networks begin as copies"""

CALIBRATION = "calibration."
"""Beginning of the names of the tensors of policy.safetensors that only checkpoints made on a robot have"""


class Redraws(Protocol):
    """What checkpoints hold of a representation, and what can draw the pictures again that it encodes."""

    def entry(self) -> VaeEntry:
        """Return the VAE's entry of a checkpoint."""

    def redraw(self, frames: Frames) -> np.ndarray:
        """Encode frames and decode them again: uint8 [B, S, S, 3]."""


def tensors(representation: Latent, td3: Td3) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the tensors of vae.safetensors and of policy.safetensors."""
    vae = {name: tensor.numpy() for name, tensor in representation.vae.state_dict().items()}
    policy = {name: tensor.numpy() for name, tensor in td3.state_dict().items() if name.startswith(POLICY_PARTS)}
    return vae, policy


def scene(replay: ReplayBuffer, first: int = 0) -> dict[str, np.ndarray] | None:
    """Return the scene without the arm, from observations spread over the replay buffer from frame `first` on.

    None where too little stays the same in it, as in a room that changed while the robot explored.
    """
    reference = Reference.of(replay.frames(_spread(replay, first)).images)
    return reference.tensors() if reference.still else None


def known_pictures(representation: Redraws, replay: ReplayBuffer, first: int = 0) -> PicturesEntry:
    """Return which pictures the VAE knows, by observations spread over the replay buffer from frame `first` on."""
    frames = replay.frames(_spread(replay, first))
    return pictures_entry(frames.images, representation.redraw(frames))


def _spread(replay: ReplayBuffer, first: int) -> np.ndarray:
    """Return `SCENE_OBSERVATIONS` frames from `first` on, or as many as there are, evenly spread: int64 [N]."""
    count = min(replay.size - first, SCENE_OBSERVATIONS)
    return np.linspace(first, replay.size - 1, count).astype(int)


def config(
    representation: Redraws,
    args: TrainArgs | PushArgs,
    camera: CameraEntry,
    action: ActionEntry,
    workspace: WorkspaceEntry,
    prior: Prior,
    training: dict[str, Any],
    figures: dict[str, Any],
) -> CheckpointConfig:
    """Return config.json but for the hashes; training: entries beside the run's arguments (steps, samples ...)."""
    return CheckpointConfig(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=args.seed,
        vae=representation.entry(),
        policy=PolicyEntry(args.hidden, rest_at_goal=args.rest_at_goal),
        camera=camera,
        action=action,
        workspace=workspace,
        latent_prior=PriorEntry(tuple(prior.mean.tolist()), tuple(tuple(row) for row in prior.covariance.tolist())),
        training=plain(args) | training,
        figures=figures,
    )


def plain(args: TrainArgs | PushArgs) -> dict[str, Any]:
    """Return the arguments as JSON holds them, without the directory."""
    fields = {name: value for name, value in dataclasses.asdict(args).items() if name != "out"}
    json_types = {tuple: list, type(args.out): str}
    return {name: json_types.get(type(value), lambda same: same)(value) for name, value in fields.items()}


def write(
    directory: Path, rig: Rig, like: CheckpointConfig, parent: str, training: dict[str, Any], figures: dict[str, Any]
) -> None:
    """Write what was learned on a robot as a checkpoint, with the calibration of its latents to learn on from.

    Args:
        directory: The new checkpoint; it must not exist.
        rig: What was learned.
        like: Gives camera, action and workspace.
        parent: Name of the checkpoint that learning went on from.
        training: Entries of `training` beside the arguments.
        figures: Result of its evaluation.

    Raises:
        ValueError: If a number is not finite.
    """
    assert isinstance(rig.representation, Latent)
    training = training | {"episodes": rig.episodes}
    made = config(rig.representation, rig.args, like.camera, like.action, like.workspace, rig.prior, training, figures)
    vae, policy = tensors(rig.representation, rig.td3)
    if rig.representation.calibration is not None:
        learnt = rig.representation.calibration.state_dict()
        policy |= {CALIBRATION + name: tensor.numpy() for name, tensor in learnt.items()}
    for part, arrays in (("vae", vae), ("policy", policy)):
        for name, values in arrays.items():
            if not np.isfinite(values).all():
                raise ValueError(f"{part}: {name} is not finite")
    recent = rig.replay.size // 2
    made = dataclasses.replace(made, parent=parent, pictures=known_pictures(rig.representation, rig.replay, recent))
    save(directory, made, vae, policy, scene(rig.replay, recent))
