"""Checks what the types of a checkpoint's configuration do not say: sizes, ranges, and what must fit together."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from rig_robot.checkpoints.config import (
    ActionEntry,
    CameraEntry,
    CheckpointConfig,
    CheckpointError,
    PriorEntry,
    WorkspaceEntry,
)
from rig_robot.common.crop import wrong_crop

LARGEST_LAYER = 65_536
"""Largest number of a layer's units"""
LARGEST_LATENT = 1e6
"""Largest number in the prior of the latents, which are of the order of 1"""
LARGEST_SIDE = 65_535
"""Largest side of a picture [pixels]: that of a JPEG file"""


def check(config: CheckpointConfig, where: Path) -> None:
    """Check what types alone do not say; raise CheckpointError for the first problem."""
    size = config.vae.latent_size
    rows = [len(row) for row in config.latent_prior.covariance]
    samples = config.training.get("samples", 1)
    problems = {
        "vae.latent_size": (0 < size <= LARGEST_LAYER, f"above 0, at most {LARGEST_LAYER}"),
        "vae.scene_size": (0 <= config.vae.scene_size <= LARGEST_LAYER, f"0 to {LARGEST_LAYER}"),
        "vae.objects": (
            config.vae.objects in (0, 1) and (not config.vae.objects or _is_split(config)),
            "0, or 1 with a scene_size and two numbers of the latent for each axis of the actions",
        ),
        "vae.channels": (_are_widths(config.vae.channels), f"numbers above 0, at most {LARGEST_LAYER}"),
        "policy.hidden": (_are_widths(config.policy.hidden), f"numbers above 0, at most {LARGEST_LAYER}"),
        "training": (
            isinstance(samples, int | float),
            "entries whose samples, if there are any, are a number",
        ),
        "policy.vae_sha256": (config.policy.vae_sha256 == config.vae.sha256, f"that of the VAE, {config.vae.sha256}"),
        "latent_prior.mean": (len(config.latent_prior.mean) == size, f"{size} numbers (vae.latent_size)"),
        "latent_prior.covariance": (len(rows) == size and set(rows) == {size}, f"{size} rows of {size} numbers"),
    }
    if config.pictures is not None:
        for name, figure in dataclasses.asdict(config.pictures).items():
            problems[f"pictures.{name}"] = (figure >= 0, "0 or more")
    if (config.places is None) == bool(config.vae.objects):
        raise CheckpointError(f"{where}: places is {config.places}, expected one where there are objects, else none")
    if config.places is not None:
        low, high, apart = config.places.low, config.places.high, config.places.apart
        bounds = len(low) == len(high) == size and all(a <= b for a, b in zip(low, high, strict=True))
        problems["places.low"] = (bounds, f"{size} numbers, none above its one of places.high, {high}")
        problems["places.apart"] = (0 <= apart <= LARGEST_LATENT, f"0 to {LARGEST_LATENT:g}")
        most = max(map(abs, (*low, *high)), default=0.0)
        problems["places.high"] = (most <= LARGEST_LATENT, f"numbers of at most {LARGEST_LATENT:g}, as in places.low")
    problems["vae.likelihood"] = (config.vae.likelihood in ("gaussian", "bernoulli"), "gaussian or bernoulli")
    for entry in ("vae", "policy") + ("scene",) * (config.scene is not None):
        file = getattr(config, entry).file
        problems[f"{entry}.file"] = (
            Path(file).name == file and file not in ("", ".", "..") and "\0" not in file,
            "a plain file name",
        )
    for name, (good, expected) in problems.items():
        if not good:
            value: Any = config
            for part in name.split("."):
                value = getattr(value, part)
            raise CheckpointError(f"{where}: {name} is {repr(value)[:200]}, expected {expected}")
    _check_prior(config.latent_prior, where)
    check_robot(where, config.camera, config.action, config.workspace)


def _is_split(config: CheckpointConfig) -> bool:
    """Return whether a latent is of a split VAE and has as many numbers as tool and objects need."""
    size = (1 + config.vae.objects) * len(config.action.axes)
    return config.vae.scene_size > 0 and config.vae.latent_size == size


def _are_widths(numbers: tuple[int, ...]) -> bool:
    """Return whether numbers can be the widths of layers."""
    return len(numbers) > 0 and all(0 < number <= LARGEST_LAYER for number in numbers)


def _check_prior(prior: PriorEntry, where: Path) -> None:
    """Check that goals can be drawn from the prior."""
    mean, covariance = np.array(prior.mean), np.array(prior.covariance)
    found = max(np.abs(mean).max(), np.abs(covariance).max())
    if found > LARGEST_LATENT:
        raise CheckpointError(f"{where}: latent_prior has the number {found:g}, expected at most {LARGEST_LATENT:g}")
    least = np.linalg.eigvalsh(covariance).min()
    if not np.allclose(covariance, covariance.T) or least < -1e-6 * max(1.0, np.abs(covariance).max()):
        raise CheckpointError(
            f"{where}: latent_prior.covariance is not that of a Gaussian: symmetric, no negative variance"
        )


def check_robot(where: Path, camera: CameraEntry, action: ActionEntry, workspace: WorkspaceEntry) -> None:
    """Check what types alone do not say of a robot's entries, in a checkpoint or a recorded episode.

    Raises:
        CheckpointError: If a value cannot be; the text names it, what was found and what was expected.
    """
    axes = action.axes
    sides = {"camera.width": camera.width, "camera.height": camera.height, "camera.image_size": camera.image_size}
    problems: dict[str, tuple[Any, bool, str]] = {
        name: (value, 0 < value <= LARGEST_SIDE, f"above 0, at most {LARGEST_SIDE}") for name, value in sides.items()
    }
    problems |= {
        "camera.crop": (
            camera.crop,
            wrong_crop(camera.crop) is None,
            "left, top, width, height in fractions of the frame, inside it",
        ),
        "action.axes": (axes, len(set(axes)) == len(axes) > 0 and set(axes) <= set("xyz"), "one to three of x, y, z"),
        "action.fixed": (action.fixed, set(action.fixed) == set("xyz") - set(axes), f"the axes other than {axes}"),
        "action.scale_m": (action.scale_m, action.scale_m > 0, "above 0"),
        "action.period_s": (action.period_s, action.period_s > 0, "above 0"),
        "workspace.low": (
            workspace.low,
            all(low <= high for low, high in zip(workspace.low, workspace.high, strict=True)),
            f"nowhere above workspace.high {workspace.high}",
        ),
    }
    for name, (value, good, expected) in problems.items():
        if not good:
            raise CheckpointError(f"{where}: {name} is {str(value)[:200]}, expected {expected}")
