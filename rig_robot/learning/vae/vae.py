"""The beta-VAE: images in, latents out, and back.

The encoder's mean is the state that the policy acts on; the decoder is for training and for pictures. The decoder
returns a residual on the data set's mean image, so that the latent only has to describe what changes from image to
image (the arm), not what stays (the room).
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rig_robot.inference.vae_architecture import KERNELS, LOG_VARIANCE_RANGE, STRIDES, sides

Likelihood = Literal["gaussian", "bernoulli"]


class Vae(nn.Module):
    """Convolutional encoder, Gaussian latent, transposed-convolution decoder."""

    mean_image: Tensor
    conditional = False
    """whether the decoder is given a context"""

    def __init__(
        self,
        image_size: int,
        latent_size: int,
        channels: Sequence[int] = (16, 32, 64),
        likelihood: Likelihood = "gaussian",
    ) -> None:
        """likelihood: of a pixel given the latent; "bernoulli", as in the original, has a sigmoid and no mean image."""
        super().__init__()
        self.likelihood = likelihood
        self.image_size, self.latent_size = image_size, latent_size
        self.encoder, self.decoder = halves(image_size, channels, 2 * latent_size, latent_size)
        self.register_buffer("mean_image", torch.full((3, image_size, image_size), 0.5))

    def encode(self, pixels: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encode pixels, float32 [B, 3, S, S] in [0, 1], to mean and log-variance, float32 [B, L] each.

        context: For conditional VAEs; ignored here.
        """
        mean, log_variance = self.encoder(pixels - channels_last(self.mean_image)).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCE_RANGE)

    def decode(self, latents: Tensor, context: Tensor | None = None) -> Tensor:
        """Decode latents, float32 [B, L], to pixels, float32 [B, 3, S, S], about in [0, 1]."""
        if self.likelihood == "bernoulli":
            return torch.sigmoid(self.decoder(latents))
        return self.decoder(latents) + channels_last(self.mean_image)


def halves(image_size: int, channels: Sequence[int], encoded: int, decoded: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Return a convolutional encoder, to `encoded` numbers, and a decoder that undoes it, from `decoded` numbers."""
    if len(channels) != len(KERNELS):
        raise ValueError(f"channels is {tuple(channels)}: {len(KERNELS)} numbers wanted")
    sizes = sides(image_size)
    if sizes[-1] < 1:
        raise ValueError(f"image_size is {image_size}: at least 29 pixels wanted")
    planes = [3, *channels]
    down: list[nn.Module] = []
    up: list[nn.Module] = []
    for i, (kernel, stride) in enumerate(zip(KERNELS, STRIDES, strict=True)):
        down += [nn.Conv2d(planes[i], planes[i + 1], kernel, stride), nn.ReLU(inplace=True)]
        # The pixels that the encoder's stride left over come back as output padding.
        padding = sizes[i] - ((sizes[i + 1] - 1) * stride + kernel)
        up = [nn.ReLU(inplace=True), Upwards(planes[i + 1], planes[i], kernel, stride, 0, padding), *up]
    features = channels[-1] * sizes[-1] ** 2
    encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(features, encoded))
    unflatten = Unflatten(1, (channels[-1], sizes[-1], sizes[-1]))
    return encoder, nn.Sequential(nn.Linear(decoded, features), unflatten, *up)


class Upwards(nn.ConvTranspose2d):
    """A transposed convolution that adds its bias afterwards: torch's own addition takes as long as all the rest."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        assert self.bias is not None and not isinstance(self.padding, str)
        convolved = functional.conv_transpose2d(
            input, self.weight, None, self.stride, self.padding, self.output_padding
        )
        return convolved.add_(channels_last(self.bias[:, None, None].expand(convolved.shape[1:])))


class Unflatten(nn.Unflatten):
    """Unflattens to the memory order channels-last, as in camera images: convolutions are faster on it."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).contiguous(memory_format=torch.channels_last)


def channels_last(image: Tensor) -> Tensor:
    """Return the same image [C, H, W] in the memory order channels-last."""
    return image.permute(1, 2, 0).contiguous().permute(2, 0, 1)


def to_pixels(images: np.ndarray) -> Tensor:
    """Convert images, uint8 [B, S, S, 3] RGB, to float32 [B, 3, S, S] in [0, 1], in the memory order channels-last.

    Training converts images to floats only here.
    """
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255)


def to_images(pixels: Tensor) -> np.ndarray:
    """Convert pixels, float32 [B, 3, S, S], to images, uint8 [B, S, S, 3]."""
    return (pixels.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
