"""What `rig checkpoints` can be asked for."""

from __future__ import annotations

from dataclasses import dataclass

import tyro


@dataclass(frozen=True)
class CheckpointsOptions:
    """List the checkpoints of a root, where each comes from and how well it does; switch to another, or back."""

    root: tyro.conf.Positional[str]
    """Root of checkpoints (of a practice: DATA/checkpoints), or package://NAME/PATH."""
    switch: str = ""
    """Name of the checkpoint to make the current one; a running system goes over to it, or refuses it."""
    namespace: str = ""
    """ROS namespace of the robot."""
    timeout: float = 30.0
    """Time that a running system gets to go over [s]."""
