"""The conditional VAE: imagines goals in the scene at hand, p(x | z, y) (CC-RIG; Nair et al. 2019, arXiv 1910.11670).

The context y, an image of the episode, shows the scene: its colours and the objects on the table. The context's arm
must not appear in imagined images. So the decoder paints two layers. The lower one is the context without its arm, made
from y alone; the upper one is an arm, made from z alone, with a mask of the pixels that it covers. All other pixels
come straight from the context, in colours that training need never have met.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rig_robot.inference.vae_architecture import KERNELS, STRIDES, sides
from rig_robot.learning.vae.vae import Vae

FINEST = 32
"""Channels of the first convolution on a context: enough to tell for each pixel whether the arm is there"""


class Background(nn.Module):
    """The scene without the arm: a small U-Net chooses which pixels of a context to paint over, and in which colour."""

    def __init__(self, image_size: int, channels: Sequence[int]) -> None:
        super().__init__()
        sizes, planes = sides(image_size), [3, FINEST, *channels[1:]]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for i, (kernel, stride) in enumerate(zip(KERNELS, STRIDES, strict=True)):
            self.down.append(nn.Conv2d(planes[i], planes[i + 1], kernel, stride))
            wide = planes[i + 1] if i == len(KERNELS) - 1 else 2 * planes[i + 1]  # with the skip connection beside it
            self.up.insert(0, _upwards(wide, planes[i] if i else 4, i, sizes))

    def forward(self, context: Tensor, mean_image: Tensor) -> Tensor:
        """Return the context, float32 [B, 3, S, S] in [0, 1], without the arm."""
        passed = [context - mean_image]
        for down in self.down:
            passed.append(down(passed[-1]).relu())
        painted = self.up[0](passed[-1])
        for up, beside in zip(self.up[1:], passed[-2:0:-1], strict=True):
            painted = up(torch.cat((painted.relu(), beside), dim=1))
        return cover(context, painted, mean_image)


class ConditionalVae(Vae):
    """A VAE whose decoder is given the scene: p(x | z, y). Its prior assumes that p(z | y) = p(z).

    .. note:: The encoder q(z | x, y) could be given y; here it is the plain VAE's. With y, it encodes where the arm is
       relative to the context's arm; latents of one place then differ from episode to episode
       (docs/generative_models.md), and a goal seen in one episode means another place in the next.
    """

    conditional = True

    def __init__(self, image_size: int, latent_size: int, channels: Sequence[int] = (16, 32, 64)) -> None:
        super().__init__(image_size, latent_size, channels)
        self.background = Background(image_size, channels)
        self.decoder[-1] = _upwards(channels[0], 4, 0, sides(image_size))  # colours and mask of the arm

    def decode(self, latents: Tensor, context: Tensor | None = None) -> Tensor:
        """Decode latents, float32 [B, L], in the scene of a context, float32 [B, 3, S, S], to pixels of its shape."""
        assert context is not None
        return cover(self.background(context, self.mean_image), self.decoder(latents), self.mean_image)


def cover(below: Tensor, painted: Tensor, mean_image: Tensor) -> Tensor:
    """Return `below` [B, 3, S, S] covered by `painted` [B, 4, S, S]: residual colours and the logit of opacity."""
    mask = torch.sigmoid(painted[:, 3:])
    return torch.lerp(below, painted[:, :3] + mean_image, mask)


def _upwards(wide: int, narrow: int, level: int, sizes: Sequence[int]) -> nn.ConvTranspose2d:
    """Return the layer that undoes a level's convolution; pixels that its stride left over become output padding."""
    kernel, stride = KERNELS[level], STRIDES[level]
    padding = sizes[level] - ((sizes[level + 1] - 1) * stride + kernel)
    return nn.ConvTranspose2d(wide, narrow, kernel, stride, 0, padding)
