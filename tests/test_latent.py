"""Latents survive their message exactly, and no message makes a latent of numbers that are none."""

import contextlib
from array import array

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sensor_msgs.msg import Image

from rig_robot.inference.latent import Latent, no_goal
from rig_robot.messages.latents import from_message, to_message

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(rows=hnp.arrays(np.float32, st.tuples(st.just(2), st.integers(1, 20)), elements=finite))
def test_a_latent_comes_back_exactly(rows):
    found = from_message(to_message(Latent("0123abcd", *rows), Time(sec=5)))
    assert found.vae_id == "0123abcd"
    np.testing.assert_array_equal(found.mean, rows[0])
    np.testing.assert_array_equal(found.log_variance, rows[1])


def test_a_cleared_goal_comes_back_empty():
    message = to_message(no_goal("0123abcd"), Time())
    assert (message.width, message.height, len(message.data)) == (0, 0, 0)
    assert from_message(message).mean.size == 0


def test_a_big_endian_latent_is_read_right():
    message = to_message(Latent("0123abcd", np.float32([1, 2]), np.float32([3, 4])), Time())
    message.data = array("B", np.array([1, 2, 3, 4], ">f4").tobytes())
    message.is_bigendian = 1
    np.testing.assert_array_equal(from_message(message).mean, [1, 2])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(bad):
    with pytest.raises(ValueError, match="finite"):
        from_message(to_message(Latent("0123abcd", np.float32([1, bad]), np.float32([0, 0])), Time()))


@given(
    frame=st.sampled_from(["vae/0123abcd", "camera", ""]),
    encoding=st.sampled_from(["32FC1", "rgb8"]),
    width=st.integers(0, 2**32 - 1) | st.integers(0, 4),
    height=st.integers(0, 3),
    step=st.integers(0, 2**32 - 1) | st.integers(0, 16),
    data=st.binary(max_size=40),
)
def test_no_message_raises_anything_but_a_value_error(frame, encoding, width, height, step, data):
    message = Image(width=width, height=height, encoding=encoding, step=step, data=array("B", data))
    message.header.frame_id = frame
    with contextlib.suppress(ValueError):
        found = from_message(message)
        assert found.mean.shape == found.log_variance.shape and np.isfinite(found.mean).all()
