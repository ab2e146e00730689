"""The K-best loss: a decoder that learns without an encoder.

The decoder makes k images from samples z ~ N(0, I); the loss of an image x is min over i of ||f(z_i) - x||^2, so only
the best sample learns. With k = 1 nothing decides which z makes which image, and f makes the mean image of every z.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from rig_robot.learning.vae.vae import Vae, to_pixels


class Generator(nn.Module):
    """f(z), with no encoder: the VAE's decoder, which adds to a mean image."""

    mean_image: Tensor

    def __init__(self, image_size: int, latent_size: int, channels: Sequence[int] = (16, 32, 64)) -> None:
        super().__init__()
        self.latent_size = latent_size
        self.decoder = Vae(image_size, latent_size, channels).decoder
        self.register_buffer("mean_image", torch.full((3, image_size, image_size), 0.5))

    def decode(self, latents: Tensor) -> Tensor:
        """Decode latents, float32 [B, L], to pixels, float32 [B, 3, S, S], about in [0, 1]."""
        return self.decoder(latents) + self.mean_image


def best(generator: Generator, pixels: Tensor, samples: Tensor) -> Tensor:
    """Return the number of the sample [K, L] that comes nearest to each of pixels [B, 3, S, S]: int64 [B]."""
    with torch.no_grad():
        made, wanted = generator.decode(samples).flatten(1), pixels.flatten(1)
        # ||f - x||^2 without the ||x||^2, which is the same for all samples.
        return (made.square().sum(dim=1) - 2 * wanted @ made.T).argmin(dim=1)


def loss(generator: Generator, pixels: Tensor, samples: Tensor) -> Tensor:
    """Return the squared error of each image's best sample: sum over pixels, mean over the batch.

    pixels: float32 [B, 3, S, S] in [0, 1]; samples: standard normal [K, L].

    .. note:: The images of a batch share the k samples, as they do in the sum over images of the minimum over samples.
       So k samples cost k decoded images, not k times the batch.
    """
    made = generator.decode(samples[best(generator, pixels, samples)])
    return (made - pixels).square().sum() / len(pixels)


class KBestTrainer:
    """A generator with its optimiser."""

    def __init__(self, generator: Generator, k: int) -> None:
        if k < 1:
            raise ValueError(f"k is {k}, expected 1 or more")
        self.generator, self.k = generator, k
        self.optimiser = torch.optim.Adam(generator.parameters(), fused=True)

    def update(self, images: np.ndarray, learning_rate: float, rng: np.random.Generator) -> dict[str, Tensor]:
        """Take one gradient step on images, uint8 [B, S, S, 3], and return what to log."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        samples = torch.from_numpy(rng.standard_normal((self.k, self.generator.latent_size), dtype=np.float32))
        total = loss(self.generator, to_pixels(images), samples)
        self.optimiser.zero_grad()
        total.backward()
        self.optimiser.step()
        return {"k_best/squared_error": total.detach()}
