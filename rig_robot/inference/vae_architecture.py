"""Defines the part of the VAE's architecture that `config.json` does not give, for training (torch) and inference."""

KERNELS = (5, 3, 3)
STRIDES = (3, 2, 2)
LOG_VARIANCE_RANGE = (-8.0, 4.0)
"""Bounds that keep exp(log-variance) finite for any image; latents of training images stay well inside."""


def sides(image_size: int) -> list[int]:
    """Return the side of the square [pixels] before the first convolution and after each."""
    found = [image_size]
    for kernel, stride in zip(KERNELS, STRIDES, strict=True):
        found.append((found[-1] - kernel) // stride + 1)
    return found
