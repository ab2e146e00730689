"""The split VAE: a controllable latent c, where the arm is, and an exogenous latent u, all else that the picture shows.

State and reward are made of c alone: what a robot cannot move by its actions (light, people, things that move by
themselves) must not count as distance to a goal. In the terms of exogenous block MDPs (Efroni et al. 2021, arXiv
2110.08847; Lamb et al. 2022, 2207.08229), c is the endogenous and u the exogenous part of the state.

u keeps the model generative: p(x | c, u) redraws pictures, and shows an imagined c ~ p(c) in the scene at hand. In
training, u comes from another frame of the same episode, so that it cannot carry where the arm is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rig_robot.inference.vae_architecture import (
    DECODER_HIDDEN,
    DECODER_KERNELS,
    DECODER_PADDINGS,
    DECODER_STRIDES,
    LOG_VARIANCE_RANGE,
    first_side,
)
from rig_robot.learning.vae.familiarity import Familiarity
from rig_robot.learning.vae.keypoints import KeypointEncoder
from rig_robot.learning.vae.vae import Unflatten, Upwards, channels_last, halves


class SplitVae(nn.Module):
    """Encoders of c and of u, and a decoder of both."""

    mean_image: Tensor
    reach: Tensor
    conditional = True
    likelihood = "gaussian"

    def __init__(
        self, image_size: int, reach: Sequence[float], scene_size: int, channels: Sequence[int] = (16, 32, 32)
    ) -> None:
        """Make a new split VAE.

        Args:
            image_size: S, pixels.
            reach: Half the sides of the tool's box, in actions; as many as c has numbers.
            scene_size: Numbers of u.
            channels: Of the convolutions of u's encoder and of the decoder.
        """
        super().__init__()
        self.image_size, self.latent_size, self.scene_size = image_size, len(reach), scene_size
        self.controllable = KeypointEncoder(image_size, reach)
        self.familiarity = Familiarity()
        self.encoder = halves(image_size, channels, 2 * scene_size, 1)[0]
        self.decoder = split_decoder(image_size, channels, len(reach) + scene_size)
        self.register_buffer("mean_image", torch.full((3, image_size, image_size), 0.5))
        self.register_buffer("reach", torch.as_tensor(reach, dtype=torch.float32))

    def encode(self, pixels: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encode pixels, float32 [B, 3, S, S] in [0, 1], to c and its log-variance, float32 [B, A] each.

        c is a point, not a distribution: its log-variance is the least that there is.
        """
        mean = self.controllable(pixels)
        return mean, torch.full_like(mean, LOG_VARIANCE_RANGE[0])

    def encode_scene(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Encode pixels, float32 [B, 3, S, S] in [0, 1], to mean and log-variance of u, float32 [B, U] each."""
        mean, log_variance = self.encoder(pixels - channels_last(self.mean_image)).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCE_RANGE)

    def decode(self, latents: Tensor, context: Tensor | None = None) -> Tensor:
        """Decode c, float32 [B, A], in the scene of a context, float32 [B, 3, S, S], to pixels of its shape."""
        assert context is not None
        return self.decode_in(latents, self.encode_scene(context)[0])

    def decode_in(self, latents: Tensor, scene: Tensor) -> Tensor:
        """Decode c, float32 [B, A], and u, float32 [B, U], to pixels, float32 [B, 3, S, S], about in [0, 1]."""
        both = torch.cat((latents / self.reach, scene), dim=1)
        residual: Tensor = self.decoder(both)[..., : self.image_size, : self.image_size]
        return residual + channels_last(self.mean_image)


def split_decoder(image_size: int, channels: Sequence[int], numbers: int) -> nn.Sequential:
    """Return a decoder from `numbers` numbers to pictures of `image_size` pixels or a few more."""
    first, planes = first_side(image_size), [*reversed(channels), 3]
    layers: list[nn.Module] = [
        nn.Linear(numbers, DECODER_HIDDEN),
        nn.ReLU(inplace=True),
        nn.Linear(DECODER_HIDDEN, planes[0] * first**2),
        Unflatten(1, (planes[0], first, first)),
    ]
    for i, layer in enumerate(zip(DECODER_KERNELS, DECODER_STRIDES, DECODER_PADDINGS, strict=True)):
        layers += [nn.ReLU(inplace=True), Upwards(planes[i], planes[i + 1], *layer)]
    return nn.Sequential(*layers)
