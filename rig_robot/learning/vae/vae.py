"""The beta-VAE: images in, latents out, and back.

The encoder's mean is the state that the policy acts on; the decoder is for training and for pictures. The decoder gives
a residual on the data set's mean image, so that the latent has only to say what changes from image to image (the arm),
not what stays (the room).
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
    """whether encoder and decoder look at a context"""

    def __init__(
        self,
        image_size: int,
        latent_size: int,
        channels: Sequence[int] = (16, 32, 64),
        likelihood: Likelihood = "gaussian",
    ) -> None:
        """likelihood: of a pixel given the latent. "bernoulli" is the original's: sigmoid, and no mean image."""
        super().__init__()
        self.likelihood = likelihood
        if len(channels) != len(KERNELS):
            raise ValueError(f"channels is {tuple(channels)}: {len(KERNELS)} numbers wanted")
        self.image_size, self.latent_size = image_size, latent_size
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
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(features, 2 * latent_size))
        self.decoder = nn.Sequential(
            nn.Linear(latent_size, features), _Unflatten(1, (channels[-1], sizes[-1], sizes[-1])), *up
        )
        self.register_buffer("mean_image", torch.full((3, image_size, image_size), 0.5))

    def encode(self, pixels: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """pixels: float32 [B, 3, S, S] in [0, 1] -> mean and log-variance, float32 [B, L] each.

        context: what a conditional VAE looks at besides; this one does not.
        """
        mean, log_variance = self.encoder(pixels - _channels_last(self.mean_image)).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCE_RANGE)

    def decode(self, latents: Tensor, context: Tensor | None = None) -> Tensor:
        """latents: float32 [B, L] -> pixels: float32 [B, 3, S, S], about [0, 1]."""
        if self.likelihood == "bernoulli":
            return torch.sigmoid(self.decoder(latents))
        return self.decoder(latents) + _channels_last(self.mean_image)


class Upwards(nn.ConvTranspose2d):
    """A transposed convolution, its bias added afterwards: within it, that takes as long as all the rest."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        assert self.bias is not None
        convolved = functional.conv_transpose2d(input, self.weight, None, self.stride, 0, self.output_padding)
        return convolved.add_(_channels_last(self.bias[:, None, None].expand(convolved.shape[1:])))


class _Unflatten(nn.Unflatten):
    """Into pixels that lie in memory as a camera's do, channels side by side, which convolutions are faster on."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).contiguous(memory_format=torch.channels_last)


def _channels_last(image: Tensor) -> Tensor:
    """The same image [C, H, W], laid out like those."""
    return image.permute(1, 2, 0).contiguous().permute(2, 0, 1)


def to_pixels(images: np.ndarray) -> Tensor:
    """images: uint8 [B, S, S, 3] RGB -> float32 [B, 3, S, S] in [0, 1]: the one place where images become floats.

    In memory the channels of a pixel stay side by side.
    """
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255)


def to_images(pixels: Tensor) -> np.ndarray:
    """The way back: float32 [B, 3, S, S] -> uint8 [B, S, S, 3]."""
    return (pixels.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
