"""No mutated checkpoint whose sums are right ends in a traceback, a crash, a hang, or an error that does not name it.

Sums guard against damage, not against whoever writes a checkpoint with another program.
"""

import hashlib
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fuzzing import assert_survives

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from standin.episodes import ACTION, CAMERA, WORKSPACE
from test_checkpoint import write

from rig_robot.checkpoints.checkpoint import CONFIG_FILE, read_config
from rig_robot.checkpoints.config import SCENE_FILE, VAE_FILE, CheckpointConfig
from rig_robot.commands.checkpoints import run
from rig_robot.commands.options import CheckpointsOptions
from rig_robot.inference.numpy_networks import Encoder, Policy
from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.checkpoint_io import restore
from rig_robot.learning.checkpoint_io import untrained as blank
from rig_robot.learning.rig import Rig
from rig_robot.vision.goal_check import GoalCheck
from rig_robot.vision.view_check import compare, reference

NAME = "strange-checkpoint"
"""The checkpoint's directory, which errors name"""
TINY = {"channels": (2, 2, 2), "hidden": (4, 4), "latent_size": 3}


def parse_checkpoint(file: Path) -> None:
    """Uses a checkpoint as the nodes do; the file is one of its files."""
    use(mended(file, lambda path: write(path, with_scene=True)))


def parse_split_checkpoint(file: Path) -> None:
    """Uses a checkpoint of a split VAE as the nodes do."""
    use(mended(file, untrained))


def use(directory: Path) -> None:
    run(CheckpointsOptions(str(directory.parent)))
    config = read_config(directory)
    size, latents = config.camera.image_size, config.vae.latent_size
    encoder, policy = Encoder(directory), Policy(directory)
    mean, _ = encoder.encode(np.zeros((size, size, 3), np.uint8))
    assert mean.shape == (latents,) and np.isfinite(encoder.imagine(np.random.default_rng(0))).all()
    assert encoder.decode(encoder.imagine(np.random.default_rng(0))).shape == (size, size, 3)
    assert np.isfinite(policy.act(np.zeros(latents, np.float32), np.ones(latents, np.float32))).all()
    scene = reference(directory)
    if scene is not None:
        compare(scene, np.zeros((size, size, 3), np.uint8))
    picture = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    assert encoder.redraw(picture).shape == picture.shape
    GoalCheck(encoder).judge(picture)


def parse_to_learn_on(file: Path) -> None:
    """Loads a checkpoint as the trainer does."""
    directory = mended(file, untrained)
    config = read_config(directory)
    args = restore.arguments(config, file.parent, NAME)
    box = ActionBox.of_entries(config.action, config.workspace)
    rig = Rig(args, box, 1, np.zeros((1, args.image_size, args.image_size, 3), np.uint8))
    restore.load(directory, config, rig)


def untrained(directory: Path) -> CheckpointConfig:
    camera = replace(CAMERA, image_size=32)
    blank.create(directory, camera, ACTION, WORKSPACE, TrainArgs(out=directory, image_size=32, **TINY))
    return read_config(directory)


def mended(file: Path, make) -> Path:
    """Put a mutated file into a good checkpoint and its sums into config.json; return the checkpoint."""
    good, directory = file.parent / "good", file.parent / "root" / NAME
    if not good.exists():
        torch.manual_seed(0)
        make(good)
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(good, directory)
    old = hashlib.sha256((good / file.name).read_bytes()).hexdigest()
    shutil.copy(file, directory)
    if file.name != CONFIG_FILE:
        text = (directory / CONFIG_FILE).read_text()
        (directory / CONFIG_FILE).write_text(text.replace(old, hashlib.sha256(file.read_bytes()).hexdigest()))
    return directory


@pytest.mark.parametrize("name", [CONFIG_FILE, VAE_FILE, "policy.safetensors", SCENE_FILE])
def test_no_mutated_checkpoint_ends_a_node_unnamed(tmp_path, name):
    write(tmp_path / "seed", with_scene=True)
    (tmp_path / "files").mkdir()
    assert_survives(parse_checkpoint, [(tmp_path / "seed" / name).read_bytes()], tmp_path / "files", name, NAME)


@pytest.mark.parametrize("name", [CONFIG_FILE, VAE_FILE])
def test_no_mutated_checkpoint_of_a_split_vae_ends_a_node_unnamed(tmp_path, name):
    untrained(tmp_path / "seed")
    (tmp_path / "files").mkdir()
    assert_survives(parse_split_checkpoint, [(tmp_path / "seed" / name).read_bytes()], tmp_path / "files", name, NAME)


@pytest.mark.parametrize("name", [CONFIG_FILE, VAE_FILE, "policy.safetensors"])
def test_no_mutated_checkpoint_ends_the_trainer_unnamed(tmp_path, name):
    untrained(tmp_path / "seed")
    (tmp_path / "files").mkdir()
    assert_survives(parse_to_learn_on, [(tmp_path / "seed" / name).read_bytes()], tmp_path / "files", name, NAME)
