"""Defines the options of `rig doctor`, apart from the checks, so that `rig --help` does not load those."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rig_robot.bringup.options import SHIPPED_CHECKPOINT


@dataclass(frozen=True)
class DoctorOptions:
    """Look at everything that is easily forgotten, and say what to do about it.

    Example: rig doctor --config my_robot.yaml --picture view.png"""

    config: Path | None = None
    """Configuration that `rig robot` (with --sim: `rig sim`) is started with; the package's own when not given."""
    checkpoint: str = SHIPPED_CHECKPOINT
    """Checkpoint: a directory, a root with a link `current`, or package://NAME/PATH."""
    namespace: str = ""
    """ROS namespace of the robot."""
    seconds: float = 3.0
    """How long to listen to the running system [s]."""
    sim: bool = False
    """Look at a simulation instead of a robot: config/sim.yaml, and the simulation's ROS domain."""
    picture: Path | None = None
    """File for a picture of today's view beside the one that the checkpoint was made from."""
    json: Path | None = None
    """File for what was found: a list of name, level, found and advice."""
