"""Lists the checkpoints of a root."""

from __future__ import annotations

from pathlib import Path

from rig_robot.checkpoints.checkpoint import read_config
from rig_robot.checkpoints.config import CheckpointConfig, CheckpointError


def find(root: Path) -> tuple[list[tuple[str, CheckpointConfig]], list[str]]:
    """Return the usable checkpoints of a root, oldest first, and the reason for each directory that is unusable.

    Raises:
        CheckpointError: If the root is not a directory.
    """
    if not root.is_dir():
        raise CheckpointError(f"no root of checkpoints at {root}: not a directory")
    good, broken = [], []
    for directory in sorted(root.iterdir()):
        if directory.name.startswith(".") or directory.is_symlink() or not directory.is_dir():
            continue
        try:
            good.append((directory.name, read_config(directory)))
        except (CheckpointError, OSError) as error:
            broken.append(str(error))
    return sorted(good, key=lambda found: (found[1].created, found[0])), broken
