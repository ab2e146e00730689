"""Decodes untrusted image messages, raw or compressed, into RGB; rejects what it cannot decode. Imports no ROS.

Any program may publish a goal, so every field of a message is checked before it is used, and the size of a compressed
picture is read from its header before a single pixel is decoded.
"""

import io
import warnings
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps


class PictureRefused(ValueError):
    """The picture cannot be used; the text says what was wrong and what would be right."""


class Layout(NamedTuple):
    """How a raw encoding stores a pixel: in `channels` bytes, of which the slice `rgb` takes red, green and blue."""

    channels: int
    rgb: slice


LAYOUTS = {
    "rgb8": Layout(3, slice(0, 3)),
    "bgr8": Layout(3, slice(2, None, -1)),
    "rgba8": Layout(4, slice(0, 3)),
    "bgra8": Layout(4, slice(2, None, -1)),
    "mono8": Layout(1, slice(0, 1)),
}
"""The raw encodings that are accepted. All have 8-bit samples, so `is_bigendian` does not matter."""

FILE_FORMATS = ("PNG", "JPEG")
EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
"""Pillow's modes with at most 8 bits a sample: a 16-bit PNG would be clipped to white, so it is refused instead."""


class RawImage(Protocol):
    """The fields of `sensor_msgs/Image` that say what the pixels are."""

    width: int
    height: int
    encoding: str
    step: int
    data: Sequence[int]


def _check_size(width: int, height: int, max_megapixels: float) -> None:
    if width == 0 or height == 0:
        raise PictureRefused(f"the picture is {width}x{height}: it has no pixels; send one of at least 1x1")
    if width * height > max_megapixels * 1e6:
        megapixels = f"{width}x{height}, {width * height / 1e6:.1f} megapixels"
        raise PictureRefused(f"the picture is {megapixels}; at most {max_megapixels:g} are accepted")


def from_raw(image: RawImage, max_megapixels: float = 50.0) -> NDArray[np.uint8]:
    """Return the RGB picture, uint8 [H, W, 3], in a raw image: a view of the message's bytes, nothing is copied.

    Raises:
        PictureRefused: for an unknown encoding, no pixels, too many, or a `step` or length that contradicts the size.
    """
    layout = LAYOUTS.get(image.encoding)
    if layout is None:
        raise PictureRefused(f"encoding {image.encoding[:40]!r} is not known; send one of {', '.join(LAYOUTS)}")
    _check_size(image.width, image.height, max_megapixels)
    row = image.width * layout.channels
    if image.step < row:
        raise PictureRefused(
            f"step is {image.step}; a row of {image.width} {image.encoding} pixels takes at least {row} bytes"
        )
    if len(image.data) != image.step * image.height:
        raise PictureRefused(
            f"there are {len(image.data)} bytes of data; "
            f"{image.height} rows of step {image.step} make {image.step * image.height}"
        )
    rows = np.frombuffer(memoryview(image.data), np.uint8).reshape(image.height, image.step)  # type: ignore[arg-type]
    pixels = rows[:, :row].reshape(image.height, image.width, layout.channels)
    return np.broadcast_to(pixels[..., layout.rgb], (image.height, image.width, 3))


def from_compressed(data: bytes, max_megapixels: float = 50.0) -> NDArray[np.uint8]:
    """Return the RGB picture, uint8 [H, W, 3], in the bytes of a PNG or JPEG file, turned as its EXIF orientation says.

    Transparency is dropped. The file's own header determines the format: the message's `format` is often wrong.

    Raises:
        PictureRefused: for anything else, a broken or truncated file, more than 8 bits a sample, or too many pixels.
    """
    if len(data) == 0:
        raise PictureRefused("there are no bytes; send a whole PNG or JPEG file")
    try:
        with warnings.catch_warnings():
            # Pillow's own limit warns at 89 megapixels and raises at 179; ours decides below, before any decoding.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            file = Image.open(io.BytesIO(data), formats=FILE_FORMATS)
    except Exception as error:  # Pillow raises a dozen kinds of exception on hostile bytes; here all mean: unreadable.
        known = data.startswith((b"\xff\xd8\xff", b"\x89PNG"))
        reason = "its head is broken or cut short" if known else "they begin like neither"
        if isinstance(error, Image.DecompressionBombError):
            reason = str(error)
        raise PictureRefused(f"the {len(data)} bytes are not a PNG or JPEG file that can be read: {reason}") from error
    with file:
        _check_size(file.width, file.height, max_megapixels)
        if file.mode not in EIGHT_BIT_MODES:
            raise PictureRefused(f"the {file.format} has pixels of kind {file.mode}; save it with 8 bits a channel")
        try:
            return np.array(ImageOps.exif_transpose(file).convert("RGB"))
        except Exception as error:
            raise PictureRefused(
                f"the {file.format} of {file.width}x{file.height} pixels is broken or cut short: {error}"
            ) from error
