"""Generative models: the ELBO and its parts, the conditional VAE, the K-best loss."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from rig_robot.learning.baselines import k_best
from rig_robot.learning.baselines.k_best import Generator, KBestTrainer
from rig_robot.learning.vae import vae_trainer as vae_training
from rig_robot.learning.vae.conditional_vae import ConditionalVae
from rig_robot.learning.vae.vae import Vae, to_pixels
from rig_robot.learning.vae.vae_trainer import PIXEL_PRECISION, VaeTrainer, one_cycle, reparametrise

torch.set_num_threads(1)  # more fight with whatever else runs


@given(st.integers(1, 32), st.integers(1, 16), st.integers(0, 2**31 - 1))
@settings(max_examples=50)
def test_the_divergence_is_that_of_torch_distributions(batch: int, size: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    mean = 3 * torch.randn(batch, size, generator=generator, dtype=torch.float64)
    log_variance = torch.empty_like(mean).uniform_(-8, 4, generator=generator)
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(dim=1)
    torch.testing.assert_close(vae_training.kl_divergence(mean, log_variance), expected, rtol=1e-6, atol=1e-6)


def test_a_reparametrised_sample_has_the_mean_and_variance_of_q_and_passes_gradients_to_both() -> None:
    mean, log_variance = torch.tensor([[0.5, -2.0, 0.0]]), torch.tensor([[0.0, -3.0, 1.5]])
    mean.requires_grad_(), log_variance.requires_grad_()
    count = 200_000
    samples = reparametrise(mean, log_variance, torch.randn(count, 3, generator=torch.Generator().manual_seed(0)))
    spread = log_variance.exp()[0]
    assert ((samples.mean(dim=0) - mean[0]).abs() < 5 * (spread / count).sqrt()).all()
    assert ((samples.var(dim=0) / spread - 1).abs() < 5 * math.sqrt(2 / count)).all()
    # d/dmean E[z^2] = 2 mean, d/dlog_variance E[z^2] = variance
    samples.square().sum(dim=1).mean().backward()
    assert mean.grad is not None and log_variance.grad is not None
    torch.testing.assert_close(mean.grad[0], 2 * mean[0].detach(), atol=0.03, rtol=0)
    torch.testing.assert_close(log_variance.grad[0], spread.detach(), atol=0.03, rtol=0.02)


class Linear:
    """p(x|z) = N(W z, 1 / (2 PIXEL_PRECISION)) for three pixels, with orthogonal columns: all is known exactly."""

    likelihood = "gaussian"

    def __init__(self, wrong: float) -> None:
        """wrong: by how much the encoder's mean is off the posterior's."""
        self.columns = torch.tensor([[0.20, 0.05], [-0.10, 0.10], [0.10, 0.00]], dtype=torch.float64)
        precision = 1 + 2 * PIXEL_PRECISION * self.columns.square().sum(dim=0)
        self.variance, self.wrong = 1 / precision, wrong

    def posterior_mean(self, pixels: Tensor) -> Tensor:
        return 2 * PIXEL_PRECISION * self.variance * (pixels.flatten(1) @ self.columns)

    def encode(self, pixels: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        mean = self.posterior_mean(pixels) + self.wrong
        return mean, self.variance.log().expand_as(mean)

    def decode(self, latents: Tensor, context: Tensor | None = None) -> Tensor:
        return (latents @ self.columns.T)[:, :, None, None]

    def log_probability(self, pixels: Tensor) -> Tensor:
        noise = torch.eye(3, dtype=torch.float64) / (2 * PIXEL_PRECISION)
        zero = torch.zeros(3, dtype=torch.float64)
        return MultivariateNormal(zero, self.columns @ self.columns.T + noise).log_prob(pixels.flatten(1))


@pytest.mark.parametrize("wrong", [0.0, 0.3])
def test_the_loss_is_log_p_of_x_but_for_the_divergence_of_q_from_the_posterior(wrong: float) -> None:
    model: Any = Linear(wrong)
    pixels = torch.tensor([0.3, -0.1, 0.2], dtype=torch.float64)[None, :, None, None]
    noise = torch.randn(100_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noise = torch.cat((noise, -noise))
    total, _, _ = vae_training.loss(model, pixels.expand(len(noise), -1, -1, -1), noise, beta=1.0)
    evidence_bound = -total - 1.5 * math.log(math.pi / PIXEL_PRECISION)  # with the Gaussian's own factor
    gap = (wrong**2 / model.variance).sum() / 2  # KL(q || p(z|x)): they differ by their means alone
    torch.testing.assert_close(evidence_bound, model.log_probability(pixels)[0] - gap, atol=0.01, rtol=0)


SIZE, SIDE = 29, 8
"""of small images, and of what is to be seen in them [pixels]"""


def scenes(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images and contexts of a black square on one colour, in different places: uint8 [N, S, S, 3] each.

    Also the colours, uint8 [N, 3], and where the contexts' squares are, bool [N, S, S].
    """
    colours = rng.integers(120, 256, (count, 3), dtype=np.uint8)
    images = np.broadcast_to(colours[:, None, None], (count, SIZE, SIZE, 3)).copy()
    contexts, covered = images.copy(), np.zeros(images.shape[:3], bool)
    for i, (row, column, other_row, other_column) in enumerate(rng.integers(0, SIZE - SIDE + 1, (count, 4))):
        images[i, row : row + SIDE, column : column + SIDE] = 0
        covered[i, other_row : other_row + SIDE, other_column : other_column + SIDE] = True
    contexts[covered] = 0
    return images, contexts, colours, covered


@pytest.mark.parametrize("size", [29, 48, 64, 84])
def test_a_conditional_vae_gives_images_of_every_size_back_whole(size: int) -> None:
    vae = ConditionalVae(size, 3, (4, 8, 8))
    pixels, context = torch.rand(2, 2, 3, size, size)
    mean, log_variance = vae.encode(pixels, context)
    assert mean.shape == log_variance.shape == (2, 3)
    assert vae.decode(mean, context).shape == pixels.shape


def test_the_elbo_of_a_conditional_vae_has_the_parts_of_the_unconditional_one() -> None:
    torch.manual_seed(0)
    vae, noise = ConditionalVae(48, 4), torch.randn(5, 4)
    pixels, context = torch.rand(2, 5, 3, 48, 48)
    total, means, log = vae_training.loss(vae, pixels, noise, 20.0, context)
    mean, log_variance = vae.encode(pixels, context)
    misfit = (vae.decode(mean + noise * (log_variance / 2).exp(), context) - pixels).square().sum() / 5
    divergence = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(dim=1).mean()
    torch.testing.assert_close(total, PIXEL_PRECISION * misfit + 20 * divergence)
    torch.testing.assert_close(means, mean)
    torch.testing.assert_close(log["vae/kl"], divergence)


@pytest.mark.slow
def test_what_is_imagined_has_the_colours_of_the_context_and_not_its_square() -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    images, contexts, _, _ = scenes(rng, 2000)
    vae = ConditionalVae(SIZE, 4, (8, 16, 16))
    trainer = VaeTrainer(vae, beta=1.0)
    for step in range(400):
        chosen = rng.integers(len(images), size=32)
        trainer.update(images[chosen], 5e-3 * one_cycle(step / 400), rng, contexts=contexts[chosen])
    images, contexts, colours, covered = scenes(rng, 200)
    with torch.inference_mode():
        latents = vae.encode(to_pixels(images), to_pixels(contexts))[0].roll(1, dims=0)  # of other scenes
        pictures = 255 * vae.decode(latents, to_pixels(contexts)).permute(0, 2, 3, 1).numpy()
    bare = (np.roll(images, 1, axis=0) > 0).all(axis=3)  # where the latents' own squares are not
    off = np.abs(pictures - colours[:, None, None]).mean(axis=3)
    grey = colours.mean(axis=1).mean()
    assert off[bare & ~covered].mean() < 0.1 * grey, "colours are not those of the context"
    assert off[bare & covered].mean() < 0.2 * grey, "the context's square is still there"
    assert pictures[~bare].mean() < 0.5 * grey, "nothing was drawn where the latent says"


def test_a_latent_does_not_say_where_the_arm_of_the_context_was() -> None:
    torch.manual_seed(0)
    vae = ConditionalVae(48, 4)
    pixels, context, other = torch.rand(3, 2, 3, 48, 48)
    torch.testing.assert_close(vae.encode(pixels, context)[0], vae.encode(pixels, other)[0])


def sides(rng: np.random.Generator, count: int) -> np.ndarray:
    """Black images, white at the left or the right: uint8 [N, S, S, 3]."""
    images = np.zeros((count, SIZE, SIZE, 3), np.uint8)
    for image, side in zip(images, rng.integers(0, 2, count), strict=True):
        image[:, 3 + 12 * side :][:, :SIDE] = 255
    return images


def trained(k: int, images: np.ndarray) -> Generator:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    generator = Generator(SIZE, 2, (8, 16, 16))
    generator.mean_image.fill_(0)
    trainer = KBestTrainer(generator, k)
    for step in range(200):
        trainer.update(images[rng.integers(len(images), size=32)], 5e-3 * one_cycle(step / 200), rng)
    return generator


@pytest.mark.slow
def test_one_sample_learns_the_mean_image_and_many_learn_the_images() -> None:
    images = sides(np.random.default_rng(0), 400)
    pixels, latents = to_pixels(images), torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    apart = pixels.var(dim=0).sum()
    generators = [trained(k, images) for k in (1, 32)]
    with torch.inference_mode():
        single, many = (generator.decode(latents) for generator in generators)
        off = (single.mean(dim=0) - pixels.mean(dim=0)).square().sum()
        nearest = torch.cdist(pixels.flatten(1), many.flatten(1)).square().min(dim=1).values.mean()
    assert off < 0.1 * apart, "one sample did not learn the mean image"
    assert single.var(dim=0).sum() < 0.1 * apart, "one sample learnt to tell images apart: by what?"
    assert many.var(dim=0).sum() > 0.3 * apart, "samples do not differ as the images do"
    assert nearest < 0.3 * apart, "some images are not among the samples"


@given(st.integers(1, 9), st.integers(1, 6), st.integers(0, 2**31 - 1))
@example(8, 3, 677740)
@settings(max_examples=20)
def test_the_loss_is_the_least_of_k_and_only_the_best_samples_learn(k: int, batch: int, seed: int) -> None:
    torch.manual_seed(seed)
    generator, pixels = Generator(29, 3, (8, 8, 8)), torch.rand(batch, 3, 29, 29)
    samples = torch.randn(k, 3, requires_grad=True)
    total = k_best.loss(generator, pixels, samples)
    errors = (generator.decode(samples)[None] - pixels[:, None]).square().sum(dim=(2, 3, 4))
    torch.testing.assert_close(total, errors.min(dim=1).values.mean())
    total.backward()
    assert samples.grad is not None
    learning = set(samples.grad.abs().sum(dim=1).nonzero().flatten().tolist())
    # Two samples may be as good as one another, as far as float32 tells.
    best = errors <= (1 + 1e-5) * errors.min(dim=1, keepdim=True).values
    assert learning <= set(best.any(dim=0).nonzero().flatten().tolist())


def test_a_k_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="k is 0"):
        KBestTrainer(Generator(48, 2), 0)


def test_the_vae_of_one_scene_needs_no_context() -> None:
    assert not Vae.conditional and ConditionalVae.conditional
