"""The one function that makes observations of pictures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rig_robot.vision.observation import CENTRE_SQUARE, Crop, prepare, prepare_goal

RNG = np.random.default_rng(0)


def frame(height=480, width=640):
    return RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_every_pixel_of_the_crop_counts_the_same():
    picture = frame()
    expected = picture[:, 80:560].reshape(48, 10, 48, 10, 3).mean(axis=(1, 3))
    assert np.abs(prepare(picture, CENTRE_SQUARE, 48) - expected).max() <= 0.51


def test_nothing_outside_the_crop_shows():
    picture = frame()
    other = picture.copy()
    other[:, :80] = 0
    other[:, 560:] = 255
    np.testing.assert_array_equal(prepare(picture, CENTRE_SQUARE, 84), prepare(other, CENTRE_SQUARE, 84))


@settings(max_examples=40)
@given(st.integers(1, 90), st.integers(1, 300), st.integers(1, 300))
def test_any_frame_gives_the_size_asked_for_and_keeps_a_flat_colour(size, height, width):
    picture = np.full((height, width, 3), (10, 128, 250), np.uint8)
    image = prepare(picture, Crop(0, 0, 1, 1), size)
    assert image.shape == (size, size, 3) and image.dtype == np.uint8
    assert (image == (10, 128, 250)).all()


@pytest.mark.parametrize(
    ("picture", "crop", "size", "why"),
    [
        (np.zeros((480, 640), np.uint8), CENTRE_SQUARE, 48, r"\[480, 640\]"),
        (np.zeros((480, 640, 4), np.uint8), CENTRE_SQUARE, 48, r"\[480, 640, 4\]"),
        (np.zeros((0, 0, 3), np.uint8), CENTRE_SQUARE, 48, r"\[0, 0, 3\]"),
        (np.zeros((480, 640, 3), np.float32), CENTRE_SQUARE, 48, "float32"),
        ([[1, 2, 3]], CENTRE_SQUARE, 48, "list"),
        (np.zeros((480, 640, 3), np.uint8), Crop(0.5, 0, 0.75, 1), 48, "of the frame, inside it"),
        (np.zeros((480, 640, 3), np.uint8), Crop(0, 0, 0, 1), 48, "of the frame, inside it"),
        (np.zeros((480, 640, 3), np.uint8), Crop(0, 0, float("nan"), 1), 48, "of the frame, inside it"),
        (np.zeros((480, 640, 3), np.uint8), CENTRE_SQUARE, 0, "at least one pixel"),
    ],
)
def test_a_bad_picture_or_crop_is_refused_by_its_value(picture, crop, size, why):
    with pytest.raises(ValueError, match=why):
        prepare(picture, crop, size)


def test_a_goal_of_observation_size_passes_untouched():
    picture = frame(48, 48)
    image, warning = prepare_goal(picture, CENTRE_SQUARE, 48, 4 / 3)
    np.testing.assert_array_equal(image, picture)
    assert warning is None


@pytest.mark.parametrize(("height", "width"), [(480, 640), (240, 320), (1080, 1440), (479, 640)])
def test_a_goal_of_the_cameras_aspect_is_cropped_as_a_frame_is(height, width):
    picture = frame(height, width)
    image, warning = prepare_goal(picture, CENTRE_SQUARE, 48, 4 / 3)
    np.testing.assert_array_equal(image, prepare(picture, CENTRE_SQUARE, 48))
    assert warning is None


@pytest.mark.parametrize(
    ("height", "width", "inside"),
    [(100, 200, np.s_[12:36, :]), (200, 100, np.s_[:, 12:36]), (500, 500, np.s_[:, :]), (1, 1000, np.s_[23:24, :])],
)
def test_a_goal_of_another_aspect_is_shown_whole_between_black_bars_with_a_warning(height, width, inside):
    image, warning = prepare_goal(np.full((height, width, 3), 200, np.uint8), CENTRE_SQUARE, 48, 4 / 3)
    expected = np.zeros((48, 48, 3), np.uint8)
    expected[inside] = 200
    np.testing.assert_array_equal(image, expected)
    assert warning is not None and f"{width}x{height}" in warning
