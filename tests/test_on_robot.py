"""Learning on the robot, without ROS: from nothing or a checkpoint, from episodes as they arrive, through every kill."""

from pathlib import Path

import numpy as np
import pytest

from rig_robot.learning import blank
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.checkpoint import ActionEntry, CameraEntry, CheckpointError, WorkspaceEntry, read_config
from rig_robot.learning.inference import Encoder, Policy

CAMERA = CameraEntry(640, 480, (0.125, 0.0, 0.75, 1.0), 48)
ACTION = ActionEntry(("x", "y"), 0.02, 0.1, {"z": 0.2}, (0.0, 1.0, 0.0, 0.0))
WORKSPACE = WorkspaceEntry((0.45, -0.2, 0.2), (0.65, 0.2, 0.2))


def untrained(root: Path, **changes) -> Path:
    return blank.create(root / "untrained", CAMERA, ACTION, WORKSPACE, TrainArgs(out=root, **changes))


def test_the_untrained_checkpoint_loads_like_any_other_and_says_that_it_knows_nothing(tmp_path: Path) -> None:
    directory = untrained(tmp_path)
    config = read_config(directory)
    assert config.training["samples"] == 0 and (config.camera, config.action) == (CAMERA, ACTION)
    latent, _ = Encoder(directory).encode(np.zeros((48, 48, 3), np.uint8))
    assert np.isfinite(Policy(directory).act(latent, latent)).all()
    before = (directory / "config.json").read_bytes()
    assert untrained(tmp_path) == directory, "a kill may have come before it was made current: it is asked for again"
    assert (directory / "config.json").read_bytes() == before
    (directory / "vae.safetensors").write_bytes(b"half")
    with pytest.raises(CheckpointError, match=r"vae\.safetensors"):
        untrained(tmp_path)


def test_an_untrained_checkpoint_that_would_not_fit_the_camera_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="image_size is 64, expected 48"):
        untrained(tmp_path, image_size=64)
