"""What training (torch) and inference (numpy) must agree on about the VAE beyond what `config.json` says."""

KERNELS = (5, 3, 3)
STRIDES = (3, 2, 2)
LOG_VARIANCE_RANGE = (-8.0, 4.0)
"""Keeps exp(log-variance) sane whatever image comes in; latents of training images stay well inside."""


def sides(image_size: int) -> list[int]:
    """Side of the square [pixels] before the first convolution and after each."""
    found = [image_size]
    for kernel, stride in zip(KERNELS, STRIDES, strict=True):
        found.append((found[-1] - kernel) // stride + 1)
    return found
