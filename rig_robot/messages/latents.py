"""Converts latents to `sensor_msgs/Image` and back: 32FC1, row 0 the mean, row 1 the log-variance.

The frame_id names the VAE. An image is a standard message that every tool can record and show. 0x0 means "no goal".
"""

import array

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image

from rig_robot.inference.latent import Latent
from rig_robot.messages.imagined_goals import IMAGINED

FRAME_PREFIX = "vae/"


def to_message(latent: Latent, stamp: Time) -> Image:
    """Return the message of a latent; `stamp` is the capture stamp of the image that was encoded."""
    message = Image()
    message.header.stamp = stamp
    message.header.frame_id = FRAME_PREFIX + latent.vae_id + (f"/{IMAGINED}" if latent.imagined else "")
    message.encoding = "32FC1"
    message.width = latent.mean.size
    message.height = 2 if latent.mean.size else 0
    message.step = 4 * message.width
    rows = np.stack((latent.mean, latent.log_variance)).astype("<f4", copy=False)
    message.data = array.array("B", rows.tobytes())
    return message


def from_message(message: Image) -> Latent:
    """Return the latent in a message.

    Raises:
        ValueError: If the message is no latent or a number in it is not finite; the text says which field is wrong.
    """
    frame = message.header.frame_id
    if not frame.startswith(FRAME_PREFIX):
        raise ValueError(f"frame_id is {frame!r}; a latent's is {FRAME_PREFIX}<8 hex digits of its VAE's sha256>")
    if message.encoding != "32FC1" or message.height not in (0, 2):
        raise ValueError(
            f"encoding is {message.encoding!r}, height {message.height}; a latent is 32FC1 and has two rows"
        )
    if message.step != 4 * message.width or len(message.data) != message.height * message.step:
        raise ValueError(
            f"step is {message.step} and there are {len(message.data)} bytes; "
            f"{message.height} rows of {message.width} floats need {4 * message.width} and "
            f"{4 * message.width * message.height}"
        )
    rows = np.frombuffer(message.data, ">f4" if message.is_bigendian else "<f4").astype(np.float32)
    if not np.isfinite(rows).all():
        raise ValueError(f"the latent is {rows}: every number must be finite")
    mean, log_variance = rows.reshape(2, -1) if rows.size else (rows, rows)
    vae_id, _, mark = frame.removeprefix(FRAME_PREFIX).partition("/")
    return Latent(vae_id, mean, log_variance, mark == IMAGINED)
