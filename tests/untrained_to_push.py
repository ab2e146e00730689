"""An untrained checkpoint that pushes, so small that a test can practise from it."""

from pathlib import Path

import numpy as np
import pytest

from rig_robot.checkpoints.config import ActionEntry, CameraEntry, WorkspaceEntry
from rig_robot.learning.checkpoint_io.untrained import create_to_push
from rig_robot.learning.methods import METHODS
from rig_robot.learning.push_arguments import PushArgs

CAMERA = CameraEntry(640, 480, (0.125, 0.0, 0.75, 1.0), 48)
ACTION = ActionEntry(("x", "y"), 0.02, 0.1, {"z": 0.22}, (0.0, 1.0, 0.0, 0.0))
WORKSPACE = WorkspaceEntry((0.42, -0.24, 0.22), (0.78, 0.24, 0.22))
CENTRE = np.array([0.6, 0.0])
TINY = {"vae_updates": 25, "slots": 2, "slot_updates": 25, "model_updates": 100, "rehearsal_updates": 100}
TINY |= {"seeking_steps": 60, "hidden": (8,), "model_hidden": 8, "members": 2, "batch": 16}


def untrained(root: Path, **changes: object) -> Path:
    args = PushArgs(out=root, **(TINY | changes))  # type: ignore[arg-type]
    return create_to_push(root / "untrained", CAMERA, ACTION, WORKSPACE, args)


def learn_in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let VAE and slots learn from eight pictures at a time: for tests of what happens, not of how well it learns."""
    monkeypatch.setitem(METHODS, "rig", {"vae_batch": 8})
    monkeypatch.setattr("rig_robot.learning.representations.objects.BATCH", 8)
