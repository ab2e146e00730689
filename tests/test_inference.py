"""The networks that nodes run are those that were trained: numpy and torch give the same numbers."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from test_checkpoint import config

from rig_robot.checkpoints.checkpoint import save
from rig_robot.checkpoints.config import PriorEntry
from rig_robot.inference.numpy_networks import Encoder, Policy
from rig_robot.learning.rl.actor_critic import Actor
from rig_robot.learning.vae.split_vae import SplitVae
from rig_robot.learning.vae.vae import Vae, to_images, to_pixels


@pytest.mark.parametrize(
    ("size", "latent", "channels", "hidden", "rests"),
    # 49 and 50 leave pixels over at a stride, which the decoder must pad.
    [
        (48, 4, (16, 32, 64), (128, 128), True),
        (84, 16, (4, 8, 12), (30,), False),
        (49, 3, (4, 4, 4), (8, 9), False),
        (50, 2, (4, 5, 6), (8, 8), True),
    ],
)
def test_numpy_and_torch_agree(
    tmp_path: Path, size: int, latent: int, channels: tuple, hidden: tuple, rests: bool
) -> None:
    torch.manual_seed(size)
    vae, actor = Vae(size, latent, channels).eval(), Actor(latent, 2, hidden, rest_at_goal=rests).eval()
    vae.mean_image.copy_(torch.rand(3, size, size))
    written = dataclasses.replace(
        config(),
        vae=dataclasses.replace(config().vae, latent_size=latent, channels=channels),
        policy=dataclasses.replace(config().policy, hidden=hidden, rest_at_goal=rests),
        camera=dataclasses.replace(config().camera, image_size=size),
        latent_prior=PriorEntry((0.0,) * latent, tuple(map(tuple, np.eye(latent).tolist()))),
    )
    save(
        tmp_path / "one",
        written,
        {name: value.numpy() for name, value in vae.state_dict().items()},
        {f"actor.{name}": value.numpy() for name, value in actor.state_dict().items()},
    )
    encoder, policy = Encoder(tmp_path / "one"), Policy(tmp_path / "one")
    rng = np.random.default_rng(0)
    for _ in range(3):
        image = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
        # Latents far from 0: a mistake must show.
        z, goal = rng.normal(scale=3, size=(2, latent)).astype(np.float32)
        with torch.inference_mode():
            mean, log_variance = vae.encode(to_pixels(image[None]))
            picture = to_images(vae.decode(torch.from_numpy(z)[None]))[0]
            action = actor(torch.from_numpy(z)[None], torch.from_numpy(goal)[None])[0]
        for found, expected in zip(encoder.encode(image), (mean, log_variance), strict=True):
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, expected[0].numpy(), atol=1e-5)
        assert np.abs(encoder.decode(z).astype(int) - picture).max() <= 1
        np.testing.assert_allclose(policy.act(z, goal), action.numpy(), atol=1e-5)
        assert policy.act(z, z).any() != rests, "its action is 0 at the goal, if it rests there"


@pytest.mark.parametrize(("size", "reach"), [(48, (7.5, 10.0)), (49, (7.5, 10.0, 6.25))])
def test_numpy_and_torch_agree_on_a_split_vae(tmp_path: Path, size: int, reach: tuple[float, ...]) -> None:
    torch.manual_seed(size)
    vae, latent = SplitVae(size, reach, 5, (4, 8, 8)).eval(), len(reach)
    vae.mean_image.copy_(torch.rand(3, size, size))
    with torch.no_grad():
        vae.controllable.sharpness += torch.rand(16)
    actor = Actor(latent, 2, (8, 8)).state_dict()
    written = dataclasses.replace(
        config(),
        vae=dataclasses.replace(config().vae, latent_size=latent, channels=(4, 8, 8), scene_size=5),
        camera=dataclasses.replace(config().camera, image_size=size),
        latent_prior=PriorEntry((0.0,) * latent, tuple(map(tuple, np.eye(latent).tolist()))),
    )
    tensors = {name: value.numpy() for name, value in vae.state_dict().items()}
    save(tmp_path / "one", written, tensors, {f"actor.{name}": value.numpy() for name, value in actor.items()})
    encoder, rng = Encoder(tmp_path / "one"), np.random.default_rng(0)
    for _ in range(3):
        image, scene = rng.integers(0, 256, (2, size, size, 3), dtype=np.uint8)
        z = rng.normal(scale=3, size=latent).astype(np.float32)
        with torch.inference_mode():
            mean, log_variance = vae.encode(to_pixels(image[None]))
            picture = to_images(vae.decode(torch.from_numpy(z)[None], to_pixels(scene[None])))[0]
            average = to_images(vae.decode_in(torch.from_numpy(z)[None], torch.zeros(1, 5)))[0]
        for found, expected in zip(encoder.encode(image), (mean, log_variance), strict=True):
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, expected[0].numpy(), atol=1e-4)
        assert np.abs(encoder.decode(z, scene).astype(int) - picture).max() <= 1
        assert np.abs(encoder.decode(z).astype(int) - average).max() <= 1


@pytest.mark.parametrize("node", ["arm", "camera", "composed", "encoder", "goal", "policy"])
def test_a_node_starts_without_what_only_others_need(node: str) -> None:
    """torch takes seconds, and what moves an arm 40 MB in each process."""
    heavy = {"torch", "matplotlib", "rosbags"} | ({"cv2"} if node == "arm" else {"mink", "mujoco"})
    program = f"import sys, rig_robot.nodes.{node}; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert not done.stdout.split()


def test_the_trainer_starts_without_matplotlib() -> None:
    """It plots nothing, and matplotlib takes half a second to import."""
    program = "import sys, rig_robot.nodes.trainer; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
