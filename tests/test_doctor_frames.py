"""`rig doctor` finds what is wrong in a camera's frames: blur, light, and a camera that was pushed."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
import rclpy
from examined_robot import assert_found, camera_frame, well

from rig_robot.doctor.check_result import Level
from rig_robot.doctor.checks import camera
from rig_robot.doctor.examined_system import ExaminedSystem, configured
from rig_robot.doctor.heard import Heard, Stream
from rig_robot.doctor.options import DoctorOptions
from rig_robot.messages.images import rgb_to_image


def shown(picture: np.ndarray) -> ExaminedSystem:
    """Return a system from which one frame was received."""
    system = well()
    message = rgb_to_image(picture, rclpy.clock.Clock().now().to_msg(), "camera")
    stream = Stream(arrivals=[0.0, 1 / 30], last=message, kept=[message])
    return dataclasses.replace(system, heard=Heard(frames=stream))


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    return camera_frame()


def test_a_good_frame_is_called_good(frame: np.ndarray) -> None:
    system = shown(frame)
    assert camera.focus(system).level is Level.OK and camera.exposure(system).level is Level.OK


def test_a_blurred_frame_is_found_however_noisy(frame: np.ndarray) -> None:
    noise = np.random.default_rng(0).normal(0, 3, frame.shape)
    blurred = np.clip(cv2.GaussianBlur(frame, (0, 0), 8.0) + noise, 0, 255).astype(np.uint8)
    assert_found(camera.focus(shown(blurred)), Level.FAIL, "sharpness")
    soft = cv2.GaussianBlur(frame, (0, 0), 3.5)
    assert_found(camera.focus(shown(soft)), Level.WARN, "sharpness")


def test_a_blur_beside_the_checkpoints_reference_is_found_where_the_arm_is_sharp(frame: np.ndarray) -> None:
    """Whatever is in the picture today, the edges of the still scene were steeper."""
    soft = cv2.GaussianBlur(frame, (0, 0), 6.0)
    soft[300:340, 300:340] = np.random.default_rng(0).integers(0, 255, (40, 40, 3))
    assert_found(camera.focus(shown(soft)), Level.WARN, "as steep as the checkpoint's")


def test_a_lens_cap_and_too_much_light_are_found(frame: np.ndarray) -> None:
    black = np.random.default_rng(0).integers(0, 6, frame.shape, dtype=np.uint8)
    assert_found(camera.exposure(shown(black)), Level.FAIL, "nothing is in the picture")
    assert_found(camera.focus(shown(np.zeros_like(frame))), Level.FAIL, "sharpness")
    washed_out = np.clip(frame.astype(int) + 90, 0, 255).astype(np.uint8)
    assert_found(camera.exposure(shown(washed_out)), Level.WARN, "white", "lower")


def test_a_camera_that_was_pushed_is_found_and_drawn(frame: np.ndarray, tmp_path: Path) -> None:
    assert camera.view(shown(frame)).level is Level.OK
    options = DoctorOptions(sim=True)  # with the shipped checkpoint, of a lab
    lab = ExaminedSystem(options, configured(options))
    assert "did not stand still" in camera.view(lab).found
    system = shown(np.roll(frame, 40, axis=0))
    system = dataclasses.replace(system, options=dataclasses.replace(system.options, picture=tmp_path / "view.png"))
    assert_found(camera.view(system), Level.WARN, "down", "view.png")
    assert cv2.imread(str(tmp_path / "view.png")).shape[1] > 3 * 48
