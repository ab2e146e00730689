"""Reads and writes checkpoints: directories of `vae.safetensors`, `policy.safetensors` and `config.json`.

A checkpoint never changes once it has its name. `scene.safetensors`, which may be missing, is what the camera saw
beside the arm (`rig_robot/vision/view_check.py`).

`config.json` has everything that a robot needs to run the networks (crop, image size, action scale, workspace ...) and
the sha256 of each file, so that a half-copied or mixed-up pair is rejected by name. A checkpoint appears by rename,
whole or not at all. The active checkpoint of a root is `<root>/current`, a link that is replaced by rename.

This module does not import torch: camera, goal and arm nodes read the configuration without it. Reading the
configuration does not need safetensors either: `ros2 launch` is run by the interpreter of ROS 2 itself, which may have
numpy and yaml and nothing else. No pickle is ever read.
"""

import dataclasses
import hashlib
import json
import secrets
import typing
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rig_robot.checkpoints.config import (
    CheckpointConfig,
    CheckpointError,
    PolicyEntry,
    SceneEntry,
    VaeEntry,
    parse,
)
from rig_robot.checkpoints.config_checks import check
from rig_robot.common.durable_files import sync_directory, write_synced, written_whole
from rig_robot.common.json_reader import read_json

FORMAT = 4
"""Newest version; all before it are read, too. A checkpoint has the oldest that can say what it is. 2: VAEs can be
split (`VaeEntry.scene_size`). 3: latents can hold objects (`VaeEntry.objects`). 4: policies can rest at the goal
(`PolicyEntry.rest_at_goal`)."""
CONFIG_FILE = "config.json"
CURRENT = "current"
LARGEST_NUMBER = 1e4
"""Largest number in a tensor: networks with larger weights overflow; trained ones stay below a hundred."""

Tensors = Mapping[str, np.ndarray]


def save(
    directory: Path, config: CheckpointConfig, vae: Tensors, policy: Tensors, scene: Tensors | None = None
) -> CheckpointConfig:
    """Write a checkpoint as `directory`, which must not exist yet; its parent is created when needed.

    Fill in the hashes in `config`, and return the configuration as written. A kill at any moment leaves either the
    whole checkpoint or a hidden folder beside it, which the next `save` of the same name removes.
    """
    directory = Path(directory)
    if directory.exists():
        raise CheckpointError(f"{directory} exists already; a checkpoint never changes once named: choose another name")
    import safetensors.numpy

    # safetensors writes an array's memory as it is, whatever its order: make it C-contiguous first.
    vae_bytes, policy_bytes, scene_bytes = (
        safetensors.numpy.save({name: np.asarray(value, order="C") for name, value in tensors.items()})
        for tensors in (vae, policy, scene or {})
    )
    vae_sha256 = hashlib.sha256(vae_bytes).hexdigest()
    config = dataclasses.replace(
        config,
        format=4 if config.policy.rest_at_goal else 3 if config.vae.objects else 2,
        vae=dataclasses.replace(config.vae, sha256=vae_sha256),
        policy=dataclasses.replace(
            config.policy, sha256=hashlib.sha256(policy_bytes).hexdigest(), vae_sha256=vae_sha256
        ),
        scene=SceneEntry(sha256=hashlib.sha256(scene_bytes).hexdigest()) if scene else None,
    )
    check(config, directory)
    config_bytes = (json.dumps(dataclasses.asdict(config), indent=1) + "\n").encode()
    files = {config.vae.file: vae_bytes, config.policy.file: policy_bytes}
    if config.scene is not None:
        files[config.scene.file] = scene_bytes
    with written_whole(directory) as folder:
        for name, data in (files | {CONFIG_FILE: config_bytes}).items():
            write_synced(folder / name, data)
        sync_directory(folder)
    sync_directory(directory.parent)
    return config


def activate(directory: Path) -> None:
    """Make `directory` the `current` checkpoint of its root (its parent); at no moment is the link missing.

    Several processes may call this at once: the last one wins.
    """
    directory = Path(directory)
    link = directory.parent / f".{CURRENT}.{secrets.token_hex(4)}.partial"
    link.symlink_to(directory.name)
    link.rename(directory.parent / CURRENT)
    sync_directory(directory.parent)


def resolve(path: Path | str) -> Path:
    """Return the checkpoint directory of `path`: itself, or `path/current` when `path` is a root of checkpoints.

    The link is resolved, so that the result remains the same checkpoint when another becomes current.
    """
    path = Path(path)
    if not path.is_dir():
        raise CheckpointError(f"no checkpoint at {path}: not a directory")
    for candidate in (path, path / CURRENT):
        if (candidate / CONFIG_FILE).is_file():
            return candidate.resolve()
    raise CheckpointError(
        f"no checkpoint at {path}: it has neither {CONFIG_FILE} nor a link named {CURRENT} to one that has"
    )


def read_config(directory: Path | str) -> CheckpointConfig:
    """Read and verify a checkpoint: every file is present, every sha256 right, and policy and VAE belong together."""
    directory = resolve(directory)
    config = read_entries(directory / CONFIG_FILE)
    for entry in config.files:
        verified_bytes(directory, entry)
    return config


def read_entries(path: Path) -> CheckpointConfig:
    """Read a `config.json` without verifying the files beside it."""
    try:
        data = read_json(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # covers bytes that are not UTF-8
        raise CheckpointError(f"{path} is not JSON: {error}") from error
    found_format = data.get("format") if isinstance(data, dict) else None
    if type(found_format) is not int or not 1 <= found_format <= FORMAT:
        raise CheckpointError(f"{path}: format is {found_format!r}, this version reads 1 to {FORMAT}")
    config = typing.cast(CheckpointConfig, parse(CheckpointConfig, data, str(path)))
    check(config, path)
    return config


def read_tensors(directory: Path, entry: VaeEntry | PolicyEntry | SceneEntry) -> dict[str, np.ndarray]:
    """Return the tensors of one of the checkpoint's files, all finite, from bytes whose sha256 was just verified."""
    import safetensors.numpy

    path = Path(directory) / entry.file
    content = verified_bytes(directory, entry)
    try:
        tensors = safetensors.numpy.load(content)
    except Exception as error:  # a KeyError for a type that numpy lacks, and what else its header may cause
        raise CheckpointError(f"{path} is not a safetensors file: {type(error).__name__}: {error}") from error
    for name, tensor in tensors.items():
        if tensor.dtype.kind == "f" and not (np.abs(tensor) <= LARGEST_NUMBER).all():
            raise CheckpointError(f"{path}: {name[:80]} has numbers that are not finite, or above {LARGEST_NUMBER:g}")
    return tensors


def verified_bytes(directory: Path, entry: VaeEntry | PolicyEntry | SceneEntry) -> bytes:
    """Return the content of `entry.file`; raise CheckpointError if it is missing or its sha256 is wrong."""
    path = Path(directory) / entry.file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != entry.sha256:
        raise CheckpointError(f"{path}: sha256 is {found}, {CONFIG_FILE} says {entry.sha256}")
    return content
