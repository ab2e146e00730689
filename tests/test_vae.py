"""The VAE: one conversion of images each way, any image size, and a training that separates what is to be seen."""

import numpy as np
import pytest
import torch

from rig_robot.learning.vae.vae import Vae, to_images, to_pixels
from rig_robot.learning.vae.vae_trainer import Calibration, Moves, VaeTrainer, loss, one_cycle

torch.set_num_threads(1)  # more fight with whatever else runs


def squares(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey images with a white 8x8 square at (row, column): uint8 [N, 48, 48, 3] and int64 [N, 2]."""
    places = rng.integers(0, 40, (count, 2))
    images = np.full((count, 48, 48, 3), 100, np.uint8)
    for image, (row, column) in zip(images, places, strict=True):
        image[row : row + 8, column : column + 8] = 255
    return images, places


@torch.inference_mode()
def encode(vae: Vae, images: np.ndarray) -> np.ndarray:
    return vae.encode(to_pixels(images))[0].numpy()


@pytest.mark.parametrize("size", [29, 48, 64, 84, 100])
def test_every_image_size_comes_back_whole(size: int) -> None:
    vae = Vae(size, 4)
    pixels = torch.rand(2, 3, size, size)
    assert vae.decode(vae.encode(pixels)[0]).shape == pixels.shape


def test_an_image_too_small_is_named() -> None:
    with pytest.raises(ValueError, match="image_size is 20"):
        Vae(20, 4)


def test_conversion_to_pixels_and_back_loses_nothing() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 3), dtype=np.uint8)
    pixels = to_pixels(images)
    assert pixels[1, 2, 3, 4] == images[1, 3, 4, 2] / np.float32(255)
    assert np.array_equal(to_images(pixels), images)


def test_latents_of_one_image_do_not_depend_on_its_neighbours_in_the_batch() -> None:
    torch.manual_seed(0)
    vae, (images, _) = Vae(48, 4), squares(np.random.default_rng(0), 7)
    together = encode(vae, images)
    alone = np.concatenate([encode(vae, image[None]) for image in images])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_beta_weighs_the_divergence_of_equation_2() -> None:
    torch.manual_seed(0)
    vae, pixels, noise = Vae(48, 4), 0.5 + 0.01 * torch.rand(5, 3, 48, 48), torch.randn(5, 4)
    total = {beta: loss(vae, pixels, noise, beta)[0].item() for beta in (0.0, 20.0)}
    mean, log_variance = vae.encode(pixels)
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    divergence = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(1).mean().item()
    assert total[20.0] - total[0.0] == pytest.approx(20 * divergence, rel=1e-2)


def test_one_cycle_rises_and_ends_at_nothing() -> None:
    assert one_cycle(0) == pytest.approx(0.04)
    assert one_cycle(0.3) == pytest.approx(1)
    assert one_cycle(1) == pytest.approx(0)


@pytest.mark.slow
def test_trained_latents_tell_where_things_are() -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    images, places = squares(rng, 2000)
    vae = Vae(48, 4, (8, 16, 16))
    trainer = VaeTrainer(vae, beta=1.0)
    for step in range(240):
        trainer.update(images[rng.integers(len(images), size=64)], 3e-3 * one_cycle(step / 240), rng)
    latents = encode(vae, images)
    # A nearest neighbour in latent space is a near neighbour in truth; chance is some 20 pixels.
    squared = ((latents[:300, None] - latents[None]) ** 2).sum(axis=2)
    squared[np.arange(300), np.arange(300)] = np.inf
    error = np.linalg.norm(places[:300] - places[squared.argmin(axis=1)], axis=1).mean()
    assert error < 4


def test_calibrated_latents_move_in_proportion_to_what_was_done() -> None:
    """One latent for each of 9 x 9 places, random at first; beyond the edge nothing moves, and that bends nothing."""
    torch.manual_seed(0)
    rng, none = np.random.default_rng(0), torch.zeros(64, 2)
    latents, calibration = torch.nn.Parameter(torch.randn(9, 9, 2)), Calibration(2, 2)
    optimiser = torch.optim.Adam([latents, *calibration.parameters()], 0.02)
    for _ in range(800):
        first, asked = rng.integers(0, 9, (64, 2)), rng.integers(-3, 4, (64, 2))
        second = np.clip(first + asked, 0, 8)
        moves = Moves(torch.from_numpy(asked).float(), none, none)
        loss = calibration(latents[tuple(first.T)], latents[tuple(second.T)], moves)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    places = np.stack(np.meshgrid(np.arange(9), np.arange(9), indexing="ij"), axis=-1).reshape(-1, 2)
    read = np.c_[latents.detach().reshape(-1, 2).numpy(), np.ones(81)]
    fitted, *_ = np.linalg.lstsq(read, places)
    assert np.linalg.norm(read @ fitted - places, axis=1).mean() < 0.5  # of a step from place to place


def test_latents_that_do_not_move_are_not_calibrated() -> None:
    """Shrunk to nothing, or saying only which episode it is: both would fulfil any wish with M = 0."""
    torch.manual_seed(0)
    calibration, none = Calibration(2, 2), torch.zeros(32, 2)
    still = torch.randn(32, 2)
    for size in (1.0, 1e-3):
        with torch.no_grad():
            calibration.moves.mul_(size)
        assert calibration(size * still, size * still, Moves(torch.randn(32, 2), none, none)) > 0.5


def test_a_late_share_of_the_action_before_counts_and_of_the_last_does_not() -> None:
    calibration = Calibration(2, 2)
    with torch.no_grad():
        calibration.moves.copy_(torch.eye(2))
        calibration.late.copy_(torch.logit(torch.tensor(0.25)))
    total, before, last = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    moved = torch.tensor([[2.75, 0.25]])
    start = torch.tensor([[1.0, 5.0]])
    assert calibration(start, start + moved, Moves(total, before, last)).item() < 0.01
    assert calibration(start, start + total, Moves(total, before, last)).item() > 0.1
