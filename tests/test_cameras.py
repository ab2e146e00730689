"""Camera drivers, each through its real library: a software RealSense; and what is done with their frames."""

import threading
import time

import cv2
import numpy as np
import pyrealsense2 as rs
import pytest
from software_realsense import Feeding, SoftwareRealSense

from rig_robot.cameras.capture import Capture, turned
from rig_robot.cameras.driver import CameraError, Ended, Frame, Lens
from rig_robot.cameras.realsense import RealSense
from rig_robot.messages.camera_info import describe

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (480, 640, 3), dtype=np.uint8)


def realsense(context: rs.context, serial: str = "", exposure: float = 0.0, size: tuple[int, int] = (640, 480)):
    return RealSense(serial, *size, 30, exposure, 0.0, 0.0, time.time_ns, context)


@pytest.fixture
def context() -> rs.context:
    return rs.context()


@pytest.fixture
def device(context):
    device = SoftwareRealSense()
    device.plug_in(context)
    return device


def test_a_realsense_gives_its_pixels_its_newest_frame_and_what_it_lost(context, device):
    camera = realsense(context)
    assert "77" in camera.open()
    device.deliver(NOISE)
    frame = camera.read()
    np.testing.assert_array_equal(frame.image, NOISE)
    assert frame.lost == 0
    device.deliver(NOISE, skip=4)
    assert camera.read().lost == 4
    device.deliver(NOISE)
    device.deliver(NOISE // 2)
    np.testing.assert_array_equal(camera.read().image, NOISE // 2)
    assert camera.lens == Lens(
        (600.0, 610.0), (323.0, 235.0), "plumb_bob", pytest.approx((0.1, -0.2, 0.001, 0.002, 0.05))
    )
    camera.close()


def test_a_realsense_stamp_is_the_capture_by_the_devices_clock(context, device):
    camera = realsense(context)
    camera.open()
    ages = [0.0, 0.3, 0.0, 0.15, 0.02]
    for age in ages:
        before = time.time()
        device.deliver(NOISE, age)
        captured = camera.read().stamp_ns / 1e9
        assert abs(captured - (before - age)) < 0.05, "a late frame must look as late as it is"
    camera.close()


def test_a_realsense_stamp_in_the_hosts_time_is_kept(context, device):
    camera = realsense(context)
    camera.open()
    captured = time.time() - 0.123
    device.deliver(NOISE, host_stamp=captured)
    assert abs(camera.read().stamp_ns / 1e9 - captured) < 0.005
    camera.close()


def test_a_realsense_is_chosen_by_its_serial_number_and_misses_are_named(context, device):
    with pytest.raises(CameraError, match=r"serial number 78 .*present: 77"):
        realsense(context, "78").open()
    other = SoftwareRealSense("78", sizes=((1280, 720), (640, 480)))
    other.plug_in(context)
    with pytest.raises(CameraError, match="set serial to one of 77, 78"):
        realsense(context).open()
    with pytest.raises(
        CameraError, match="no colour stream of 800x600 at 30 Hz; it has: 640x480 at 30, 1280x720 at 30"
    ):
        realsense(context, "78", size=(800, 600)).open()
    camera = realsense(context, "78", size=(1280, 720))
    assert "78" in camera.open()
    camera.close()
    with pytest.raises(CameraError, match=r"no RealSense .*present: none.*plugged in"):
        realsense(rs.context()).open()


def test_a_realsense_exposure_is_fixed_and_a_value_it_does_not_take_is_named(context, device):
    camera = realsense(context, exposure=99.0)
    camera.open()
    assert device.sensor.get_option(rs.option.exposure) == 99.0
    assert device.sensor.get_option(rs.option.enable_auto_exposure) == 0.0
    camera.close()
    with pytest.raises(CameraError, match="exposure is 20000: this RealSense takes 1 to 10000"):
        realsense(context, exposure=20000.0).open()
    with pytest.raises(CameraError, match="gain"):  # which this one does not have
        RealSense("", 640, 480, 30, 99.0, 16.0, 0.0, time.time_ns, context).open()


def test_a_realsense_that_stops_is_noticed_and_others_go_on_meanwhile(context, device):
    camera = realsense(context)
    camera.open()
    turns = 0
    over = threading.Event()

    def count() -> None:
        nonlocal turns
        while not over.wait(0.01):
            turns += 1

    threading.Thread(target=count, daemon=True).start()
    with pytest.raises(CameraError, match="no frame for 1 s"):
        camera.read()
    over.set()
    assert turns > 20, "waiting for a frame must not hold the interpreter"
    camera.close()


def until(condition, what: str, patience: float = 15.0) -> None:
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f"still not: {what}"
        time.sleep(0.02)


@pytest.mark.slow
def test_an_unplugged_realsense_is_opened_again_when_it_is_back(context, device):
    frames: list[Frame] = []
    said: list[str] = []
    capture = Capture(realsense(context), frames.append, said.append)
    capture.start()
    with Feeding(device, lambda: NOISE):
        until(lambda: len(frames) > 5, "frames")
    device.unplug()
    until(lambda: capture.problem and "present: none" in capture.problem, "the camera is gone")
    count = len(frames)
    device.plug_in(context)
    with Feeding(device, lambda: NOISE):
        until(lambda: len(frames) > count + 5, "frames again")
    assert capture.problem is None and capture.reconnections == 1
    capture.stop()
    assert not capture.alive()
    assert len([text for text in said if "present: none" in text]) == 1, "a camera that stays away is said once"


def test_one_frame_stamped_ahead_does_not_blind_a_realsense(context, device):
    camera = realsense(context)
    camera.open()
    ages = []
    for index in range(40):
        device.deliver(NOISE, age=-0.6 if index == 20 else 0.0)
        stamp = camera.read().stamp_ns
        ages.append(time.time() - stamp / 1e9)
        time.sleep(0.01)
    camera.close()
    assert max(ages) < 0.2


def test_no_exception_of_a_driver_or_of_whoever_takes_a_frame_ends_the_cameras_thread():
    class Odd:
        lens, fps, reads = None, 0.0, 0

        def open(self) -> str:
            return "odd"

        def read(self) -> Frame:
            self.reads += 1
            if self.reads == 2:
                raise MemoryError("a library's")
            if self.reads > 6:
                raise Ended("over")
            return Frame(np.full((1, 1, 3), self.reads, np.uint8), 0)

        def close(self) -> None:
            pass

    def take(frame: Frame) -> None:
        taken.append(int(frame.image[0, 0, 0]))
        if taken[-1] == 4:
            raise ValueError("no crop")

    taken: list[int] = []
    said: list[str] = []
    capture = Capture(Odd(), take, said.append)
    capture.start()
    until(lambda: capture.ended, "it goes on to its end")
    assert taken == [1, 3, 4, 5, 6] and any("MemoryError: a library's; trying again" in text for text in said)
    assert "a frame is not used: ValueError: no crop" in said


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_turned_picture_is_what_a_turned_camera_would_see_by_its_calibration(degrees):
    lens = Lens((600.0, 610.0), (330.0, 228.0), "plumb_bob", (0.1, -0.2, 0.01, 0.02, 0.05))
    point = np.array([0.21, -0.13, 1.0])
    pixel, _ = cv2.projectPoints(point, np.zeros(3), np.zeros(3), matrix(lens), np.array(lens.distortion))
    column, row = np.round(pixel.ravel()).astype(int)
    image = np.zeros((480, 640, 3), np.uint8)
    image[row, column] = 255
    seen = turned(image, degrees)
    info = describe(lens, seen.shape, degrees)
    assert (info.height, info.width) == seen.shape[:2]
    angle = np.radians(degrees)
    around = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    expected, _ = cv2.projectPoints(
        around @ point, np.zeros(3), np.zeros(3), np.array(info.k).reshape(3, 3), np.array(info.d)
    )
    found = np.argwhere(seen[..., 0])[0][::-1]
    np.testing.assert_allclose(found, expected.ravel(), atol=0.51)


def matrix(lens: Lens) -> np.ndarray:
    (fx, fy), (cx, cy) = lens.focal, lens.centre
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
