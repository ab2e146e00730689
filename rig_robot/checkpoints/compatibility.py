"""A checkpoint that is announced while a robot runs: may this node load it?"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rig_robot.checkpoints.checkpoint import CURRENT, CheckpointConfig, CheckpointError, read_config

SAME = ("camera", "action", "workspace")
"""What a robot that runs cannot change: other nodes have read it when they started."""


class Stale(Exception):
    """An announcement of a checkpoint that is not current any more; whoever is latched may still say it."""


def announced(root: Path, name: str) -> Path:
    """Return the directory of an announced checkpoint; it is only looked up, not read.

    Raises:
        Stale: If the root's `current` is another checkpoint by now.
        CheckpointError: If the name leads out of the root.
    """
    directory = named(root, name)
    current = (root / CURRENT).resolve()
    if current != directory:
        raise Stale(f"{name} was announced, but current is {current.name}")
    return directory


def admit(root: Path, name: str, running: CheckpointConfig) -> Path:
    """Return the directory of an announced checkpoint, whole and verified, if it may replace the running one.

    Args:
        root: The only place that checkpoints are loaded from.
        name: What was announced.
        running: The configuration that the other nodes go by.

    Raises:
        Stale: If the root's `current` is another checkpoint by now.
        CheckpointError: If it must not be loaded; the text says why.
    """
    directory = announced(root, name)
    require_same_robot(name, read_config(directory), running)
    return directory


def named(root: Path, name: str) -> Path:
    """Return the directory of that name below the root, and nowhere else.

    Raises:
        CheckpointError: If the name leads elsewhere.
    """
    directory = root.resolve() / name
    if name in ("", ".", "..") or Path(name).name != name or directory.resolve() != directory:
        raise CheckpointError(f"checkpoint {name!r} refused: expected the plain name of a directory in {root}")
    return directory


def require_same_robot(name: str, config: CheckpointConfig, running: CheckpointConfig) -> None:
    """Compare what must be alike for a swap while the robot runs.

    Raises:
        CheckpointError: If it is not; the text names each value and what it would have to be.
    """
    different = []
    for entry in SAME:
        new, old = (dataclasses.asdict(getattr(one, entry)) for one in (config, running))
        different += [f"{entry}.{key} is {new[key]}, running is {old[key]}" for key in old if new[key] != old[key]]
    if different:
        raise CheckpointError(
            f"checkpoint {name} is of another robot or camera: {'; '.join(different)}. Start the system anew with it"
        )
