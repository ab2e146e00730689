"""What `rig checkpoints` can be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class CheckpointsOptions:
    """List the checkpoints of a root, where each comes from and how well it does; switch to another, or back."""

    root: tyro.conf.Positional[Path]
    """Root of checkpoints (of a practice: DATA/checkpoints)."""
    switch: str = ""
    """Name of the checkpoint to make the current one; a running system goes over to it, or refuses it."""
    namespace: str = ""
    """ROS namespace of the robot."""
    timeout: float = 30.0
    """Time that a running system gets to go over [s]."""
