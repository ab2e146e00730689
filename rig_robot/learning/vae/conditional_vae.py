"""The conditional VAE: imagines goals in the scene at hand, p(x | z, y) (CC-RIG; Nair et al. 2019, arXiv 1910.11670).

The context y, an image of the episode, shows the scene: its colours, what lies on the table. The arm in it is not to be
in what is imagined. So the decoder paints two layers. The lower one is the context without its arm, made from y alone;
the upper one is an arm, made from z alone, with a mask that says what it covers. What no arm covers comes straight from
the context, in colours that training need never have met.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rig_robot.inference.vae_architecture import KERNELS, STRIDES, sides
from rig_robot.learning.vae.vae import Vae

FINEST = 32
"""Channels of the first convolution at a context: enough to say of each pixel whether the arm is there"""


class Background(nn.Module):
    """The scene without the arm: which pixels of a context to paint over, and with what, says a small U-Net."""

    def __init__(self, image_size: int, channels: Sequence[int]) -> None:
        super().__init__()
        sizes, planes = sides(image_size), [3, FINEST, *channels[1:]]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for i, (kernel, stride) in enumerate(zip(KERNELS, STRIDES, strict=True)):
            self.down.append(nn.Conv2d(planes[i], planes[i + 1], kernel, stride))
            wide = planes[i + 1] if i == len(KERNELS) - 1 else 2 * planes[i + 1]  # what comes up, beside what went down
            self.up.insert(0, _upwards(wide, planes[i] if i else 4, i, sizes))

    def forward(self, context: Tensor, mean_image: Tensor) -> Tensor:
        """context: float32 [B, 3, S, S] in [0, 1] -> as much, without the arm."""
        passed = [context - mean_image]
        for down in self.down:
            passed.append(down(passed[-1]).relu())
        painted = self.up[0](passed[-1])
        for up, beside in zip(self.up[1:], passed[-2:0:-1], strict=True):
            painted = up(torch.cat((painted.relu(), beside), dim=1))
        return cover(context, painted, mean_image)


class ConditionalVae(Vae):
    """A VAE whose decoder is shown the scene at hand: p(x | z, y). Its prior assumes that p(z | y) = p(z).

    .. note:: The encoder q(z | x, y) may look at y, and here does not: it is the plain VAE's. Shown y as well, it says
       where the arm is from where the context's arm was; latents of one place then differ from episode to episode
       (docs/generative_models.md), and a goal seen in one episode means another place in the next.
    """

    conditional = True

    def __init__(self, image_size: int, latent_size: int, channels: Sequence[int] = (16, 32, 64)) -> None:
        super().__init__(image_size, latent_size, channels)
        self.background = Background(image_size, channels)
        self.decoder[-1] = _upwards(channels[0], 4, 0, sides(image_size))  # colours and mask of the arm

    def decode(self, latents: Tensor, context: Tensor | None = None) -> Tensor:
        """latents: float32 [B, L], context: float32 [B, 3, S, S] -> pixels: float32 [B, 3, S, S], about [0, 1]."""
        assert context is not None
        return cover(self.background(context, self.mean_image), self.decoder(latents), self.mean_image)


def cover(below: Tensor, painted: Tensor, mean_image: Tensor) -> Tensor:
    """below: [B, 3, S, S]; painted: [B, 4, S, S], colours about the mean image and the logit of how much they cover."""
    mask = torch.sigmoid(painted[:, 3:])
    return torch.lerp(below, painted[:, :3] + mean_image, mask)


def _upwards(wide: int, narrow: int, level: int, sizes: Sequence[int]) -> nn.ConvTranspose2d:
    """Undoes the convolution of that level; the pixels that its stride left over come back as output padding."""
    kernel, stride = KERNELS[level], STRIDES[level]
    padding = sizes[level] - ((sizes[level + 1] - 1) * stride + kernel)
    return nn.ConvTranspose2d(wide, narrow, kernel, stride, 0, padding)
