"""Any bytes become a picture or a `PictureRefused` with a reason; untrusted input raises nothing else."""

import contextlib
import io
import struct
import zlib
from array import array
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from rig_robot.vision.image_decoding import LAYOUTS, PictureRefused, from_compressed, from_raw


@dataclass
class Raw:
    """The fields of a `sensor_msgs/Image` that matter."""

    width: int
    height: int
    encoding: str
    step: int
    data: array = field(default_factory=lambda: array("B"))


def pictures(max_side: int = 12) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.uint8, st.tuples(st.integers(1, max_side), st.integers(1, max_side), st.just(3)))


def raw_from(picture: np.ndarray, encoding: str, padding: int = 0) -> Raw:
    """A publisher's way of writing `picture`, independent of the code under test."""
    height, width, _ = picture.shape
    red, green, blue = (picture[..., i] for i in range(3))
    alpha = np.full((height, width), 77, np.uint8)
    planes = {
        "rgb8": [red, green, blue],
        "bgr8": [blue, green, red],
        "rgba8": [red, green, blue, alpha],
        "bgra8": [blue, green, red, alpha],
        "mono8": [red],
    }[encoding]
    rows = np.stack(planes, axis=-1).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    return Raw(width, height, encoding, rows.shape[1], array("B", rows.tobytes()))


def png(picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def jpeg(picture: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=95, **options)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that says how large it is and has next to nothing in it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


@given(picture=pictures(), encoding=st.sampled_from(sorted(LAYOUTS)), padding=st.integers(0, 5))
def test_every_raw_encoding_gives_the_same_colours(picture, encoding, padding):
    found = from_raw(raw_from(picture, encoding, padding))
    expected = picture if encoding != "mono8" else np.repeat(picture[..., :1], 3, axis=2)
    np.testing.assert_array_equal(found, expected)


@given(
    width=st.integers(0, 2**32 - 1) | st.integers(0, 8),
    height=st.integers(0, 2**32 - 1) | st.integers(0, 8),
    encoding=st.sampled_from([*LAYOUTS, "", "rgb16", "yuv422", "RGB8"]) | st.text(max_size=60),
    step=st.integers(0, 2**32 - 1) | st.integers(0, 32),
    data=st.binary(max_size=200),
)
def test_no_raw_message_raises_anything_but_a_refusal(width, height, encoding, step, data):
    try:
        picture = from_raw(Raw(width, height, encoding, step, array("B", data)))
    except PictureRefused as refusal:
        assert len(str(refusal)) > 20
    else:
        assert picture.shape == (height, width, 3) and picture.dtype == np.uint8


@given(picture=pictures(), change=st.integers(-40, 40).filter(bool), encoding=st.sampled_from(sorted(LAYOUTS)))
def test_bytes_cut_off_or_added_are_refused(picture, change, encoding):
    raw = raw_from(picture, encoding)
    raw.data = raw.data[:change] if change < 0 else raw.data + array("B", bytes(change))
    with pytest.raises(PictureRefused, match="bytes of data"):
        from_raw(raw)


@given(picture=pictures(), encoding=st.sampled_from(sorted(LAYOUTS)))
def test_a_step_shorter_than_a_row_is_refused(picture, encoding):
    raw = raw_from(picture, encoding)
    raw.step -= 1
    with pytest.raises(PictureRefused, match=r"step is \d+"):
        from_raw(raw)


def test_an_unknown_encoding_is_named_and_the_known_ones_are_listed():
    with pytest.raises(PictureRefused, match=r"'bayer_rggb8'.*rgb8, bgr8, rgba8, bgra8, mono8"):
        from_raw(Raw(2, 2, "bayer_rggb8", 2, array("B", bytes(4))))


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_a_picture_without_pixels_is_refused(size):
    with pytest.raises(PictureRefused, match="no pixels"):
        from_raw(Raw(*size, "rgb8", size[0] * 3))


def test_too_many_raw_pixels_are_refused_before_the_bytes_are_looked_at():
    with pytest.raises(PictureRefused, match=r"10000x10000, 100\.0 megapixels; at most 50"):
        from_raw(Raw(10_000, 10_000, "rgb8", 30_000))


@given(picture=pictures())
def test_png_comes_back_exactly(picture):
    np.testing.assert_array_equal(from_compressed(png(picture)), picture)


def test_jpeg_comes_back_in_rgb_order():
    picture = np.zeros((16, 16, 3), np.uint8)
    picture[..., 0] = 200
    assert np.abs(from_compressed(jpeg(picture)).astype(int) - picture).max() < 8


def test_a_photograph_held_upright_is_turned_as_its_exif_says():
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side: turn by 90 degrees clockwise
    picture = np.zeros((16, 32, 3), np.uint8)
    picture[:, :16] = 255
    turned = from_compressed(jpeg(picture, exif=exif))
    assert turned.shape == (32, 16, 3)
    assert turned[:14].min() > 200 and turned[18:].max() < 50


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_eight_bit_kind_of_file_becomes_rgb(mode):
    file = io.BytesIO()
    Image.new("RGB", (5, 4), (255, 255, 255)).convert(mode).save(file, "JPEG" if mode == "CMYK" else "PNG")
    picture = from_compressed(file.getvalue())
    assert picture.shape == (4, 5, 3) and picture.min() > 250


def test_sixteen_bit_png_is_refused_rather_than_clipped():
    file = io.BytesIO()
    Image.fromarray(np.full((4, 4), 30_000, np.uint16)).save(file, "PNG")
    with pytest.raises(PictureRefused, match="8 bits"):
        from_compressed(file.getvalue())


@given(data=st.binary(max_size=300))
@example(b"")
@example(b"\x89PNG\r\n\x1a\n")
@example(b"\xff\xd8\xff\xe0")
def test_random_bytes_are_refused(data):
    with pytest.raises(PictureRefused, match=r"PNG or JPEG|broken"):
        from_compressed(data)


@given(data=st.data(), kind=st.sampled_from([png, jpeg]))
def test_a_file_cut_short_is_refused(data, kind):
    whole = kind(np.arange(20 * 20 * 3, dtype=np.uint8).reshape(20, 20, 3))
    # A JPEG without its end marker or a PNG without its IEND still has every pixel.
    kept = data.draw(st.integers(0, len(whole) - 20))
    with pytest.raises(PictureRefused):
        from_compressed(whole[:kept])


@given(data=st.data(), kind=st.sampled_from([png, jpeg]))
def test_a_file_with_flipped_bytes_never_raises_anything_but_a_refusal(data, kind):
    file = bytearray(kind(np.arange(20 * 20 * 3, dtype=np.uint8).reshape(20, 20, 3)))
    for _ in range(data.draw(st.integers(1, 5))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PictureRefused):
        assert from_compressed(bytes(file)).dtype == np.uint8


@pytest.mark.parametrize("size", [(10_000, 10_000), (100_000, 100_000)])
def test_a_decompression_bomb_is_refused_by_its_header(size):
    # The file has 100 bytes of pixels: had they been decoded, it would be refused as cut short instead.
    with pytest.raises(PictureRefused, match=r"megapixels|exceeds limit"):
        from_compressed(png_header(*size))
