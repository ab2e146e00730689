"""Checks whether an announced checkpoint may replace the running one, and whether two robots are the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from rig_robot.checkpoints.checkpoint import CURRENT, read_config
from rig_robot.checkpoints.config import ActionEntry, CameraEntry, CheckpointConfig, CheckpointError, WorkspaceEntry

ROBOT_ENTRIES = ("camera", "action", "workspace")
"""Entries of a configuration that describe the robot. They cannot change while the robot runs, since other nodes have
read them at their start."""


class StaleAnnouncement(Exception):
    """An announced checkpoint is not the current one any more; a latched publisher may still announce it."""


def announced_directory(root: Path, name: str) -> Path:
    """Return the directory of an announced checkpoint, without reading it.

    Raises:
        StaleAnnouncement: If the root's `current` is another checkpoint by now.
        CheckpointError: If the name leads out of the root.
    """
    directory = checkpoint_directory(root, name)
    current = (root / CURRENT).resolve()
    if current != directory:
        raise StaleAnnouncement(f"{name} was announced, but current is {current.name}")
    return directory


def replacement_directory(root: Path, name: str, running: CheckpointConfig) -> Path:
    """Validate that an announced checkpoint may replace the running one, and return its directory.

    Args:
        root: The only directory that checkpoints are loaded from.
        name: The announced name.
        running: The configuration that the other nodes have read.

    Raises:
        StaleAnnouncement: If the root's `current` is another checkpoint by now.
        CheckpointError: If it is not whole or of another robot; the text says why.
    """
    directory = announced_directory(root, name)
    require_same_robot(name, read_config(directory), running)
    return directory


def checkpoint_directory(root: Path, name: str) -> Path:
    """Return the directory of a checkpoint in the root.

    Raises:
        CheckpointError: If the name leads out of the root.
    """
    directory = root.resolve() / name
    if name in ("", ".", "..") or Path(name).name != name or directory.resolve() != directory:
        raise CheckpointError(f"checkpoint {name!r} refused: expected the plain name of a directory in {root}")
    return directory


class Robot(Protocol):
    """Anything that describes its robot: a checkpoint's configuration, or a recorded episode."""

    @property
    def camera(self) -> CameraEntry: ...

    @property
    def action(self) -> ActionEntry: ...

    @property
    def workspace(self) -> WorkspaceEntry: ...


class Difference(NamedTuple):
    """A value in which two robots differ."""

    name: str
    """such as `camera.width`"""
    found: Any
    wanted: Any


def robot_differences(found: Robot, wanted: Robot) -> list[Difference]:
    """Return every value of camera, action and workspace in which a robot differs from the wanted one."""
    differences = []
    for entry in ROBOT_ENTRIES:
        new, old = (dataclasses.asdict(getattr(robot, entry)) for robot in (found, wanted))
        differences += [Difference(f"{entry}.{key}", new[key], old[key]) for key in old if new[key] != old[key]]
    return differences


def require_same_robot(name: str, config: CheckpointConfig, running: CheckpointConfig) -> None:
    """Validate that a checkpoint is of the robot that runs.

    Raises:
        CheckpointError: If it is not; the text names each value and what it would have to be.
    """
    differences = robot_differences(config, running)
    if config.vae.objects != running.vae.objects:
        differences.append(Difference("vae.objects", config.vae.objects, running.vae.objects))
    different = [f"{value} is {new}, running is {old}" for value, new, old in differences]
    if different:
        raise CheckpointError(
            f"checkpoint {name} is of another robot, camera or task: {'; '.join(different)}. "
            "Start the system anew with it"
        )
