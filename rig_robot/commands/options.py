"""Options of the commands that talk to a running robot."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from pathlib import Path

import tyro

# fmt: off
Word = typing.Literal[
    "arm", "disarm", "stop", "reset", "park",
    "reach", "explore", "practice", "idle", "clear",
    "record", "pause", "train", "rest", "fine-tune",
]
# fmt: on
"""What `rig tell` says"""


@dataclass(frozen=True)
class GoalOptions:
    """Send a picture to a running system as its goal."""

    picture: tyro.conf.Positional[Path]
    """PNG or JPEG file."""
    namespace: str = ""
    """ROS namespace of the robot."""
    timeout: float = 10.0
    """Time to wait for the system and its answer [s]."""


@dataclass(frozen=True)
class TellOptions:
    """Tell a running system: arm, disarm, stop (emergency stop), reset (it), park; reach, explore, practice, idle (the
    policy); clear (the goal); record, pause (the recorder); train, rest, fine-tune (the trainer)."""

    word: tyro.conf.Positional[Word]
    """What to tell it."""
    namespace: str = ""
    """ROS namespace of the robot."""
    timeout: float = 10.0
    """Time to wait for the system and its answer [s]."""


@dataclass(frozen=True)
class WatchOptions:
    """Print what the arm does and be its operator: with its parameter `heartbeat` set, Ctrl-C here stops it."""

    namespace: str = ""
    """ROS namespace of the robot."""


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


@dataclass(frozen=True)
class BagsOptions:
    """List recorded episodes, and what cannot be used and why."""

    directory: tyro.conf.Positional[Path]
    """Folder of episodes (of a practice: DATA/episodes)."""
