"""The checkpoint that `benchmarks/swaps.py` swaps with the shipped one acts as that one, by latents of its own."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from turned_checkpoint import turn

from rig_robot.bringup.options import SHIPPED_CHECKPOINT
from rig_robot.common.package_files import locate
from rig_robot.inference.numpy_networks import Encoder, Policy

PLAIN = Path(__file__).parent / "data" / "plain_vae"


def test_a_turned_checkpoint_acts_and_draws_as_its_source_by_other_latents(tmp_path: Path) -> None:
    source, target = locate(SHIPPED_CHECKPOINT), tmp_path / "turned"
    turn(source, target, seed=0)
    encoders, policies = ([kind(path) for path in (source, target)] for kind in (Encoder, Policy))
    size = encoders[0].config.camera.image_size
    files = sorted(locate("package://rig_robot/example_goals").glob("*.png"))[:3]
    pictures = [np.asarray(Image.open(file).convert("RGB").resize((size, size))) for file in files]
    latents = [[encoder.encode(picture)[0] for picture in pictures] for encoder in encoders]
    assert np.abs(latents[0][0] - latents[1][0]).max() > 0.5
    for other in (1, 2):
        acts = [policy.act(own[0], own[other]) for policy, own in zip(policies, latents, strict=True)]
        np.testing.assert_allclose(acts[0], acts[1], atol=1e-4)
    drawn = [encoder.redraw(pictures[0]).astype(int) for encoder in encoders]
    assert np.abs(drawn[0] - drawn[1]).max() <= 1


def test_a_checkpoint_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a checkpoint with a split VAE"):
        turn(PLAIN, tmp_path / "turned", seed=0)
