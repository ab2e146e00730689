"""Camera drivers, each through its real library: a software RealSense, videos, pictures and bags written here."""

import os
import sqlite3
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pyrealsense2 as rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from software_realsense import Feeding, SoftwareRealSense

from rig_robot.cameras.capture import Capture, turned
from rig_robot.cameras.device_clock import DRIFT, SLIGHT, DeviceClock
from rig_robot.cameras.driver import CameraError, Ended, Frame, Lens
from rig_robot.cameras.playback import FileCamera
from rig_robot.cameras.realsense import RealSense
from rig_robot.cameras.v4l2 import V4l2
from rig_robot.messages.camera_info import describe

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (480, 640, 3), dtype=np.uint8)
AUTOMATIC = (0.0, 0.0, 0.0)


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


# Clocks


@settings(max_examples=60)
@given(st.lists(st.floats(0.0, 0.5), min_size=1, max_size=60), st.floats(-1e5, 1e5), st.floats(-DRIFT, DRIFT))
def test_an_age_is_what_a_frame_is_later_than_the_fastest(delays, offset, drift):
    clock, ages = DeviceClock(), []
    for index, delay in enumerate([0.0, *delays]):
        captured = index / 30
        ages.append(clock.age(offset + captured * (1 - drift) + 10, captured + delay))
    # Rising offsets are followed at DRIFT, falling ones at once: nothing is off by more than both together.
    allowed = 2.5 * DRIFT * (len(ages) / 30 + 0.5) + 1e-6
    assert min(ages) >= 0.0
    np.testing.assert_allclose(ages, [0.0, *delays], atol=allowed)


def test_a_camera_that_has_fallen_behind_looks_late_for_as_long_as_it_is():
    clock = DeviceClock()
    for index in range(30 * 60):
        age = clock.age(index / 30, index / 30 + (0.0 if index < 30 else 0.4))
    assert age > 0.38, "after a minute"


def test_a_device_clock_that_begins_anew_is_followed():
    clock = DeviceClock()
    assert clock.age(4294.9, 100.0) == 0.0
    assert clock.age(0.0, 100.1) == 0.0
    assert clock.age(0.1, 100.3) == pytest.approx(0.1, abs=1e-3)


def ages_of(delays: list[float], wrong: dict[int, float], rate: float = 30.0) -> tuple[np.ndarray, np.ndarray]:
    """What a clock says of frames that are so late [s] and of which some are stamped wrongly [s]; and their true ages.

    As in life, a frame does not arrive before the one that was captured before it.
    """
    clock, said, true, arrival = DeviceClock(), [], [], 0.0
    for index, delay in enumerate(delays):
        captured = index / rate
        arrival = max(arrival, captured + delay)
        said.append(clock.age(captured + wrong.get(index, 0.0), 50.0 + arrival))
        true.append(arrival - captured)
    return np.array(said), np.array(true)


@st.composite
def busy_with_wrong_stamps(draw):
    """Frames of a busy host, on time at least once a second; single ones stamped wrongly."""
    delays = [0.0] * 3 + draw(st.lists(st.floats(0.0, 0.5), min_size=20, max_size=120))
    delays = [0.0 if index % 30 < 18 else delay for index, delay in enumerate(delays)]
    places = draw(st.sets(st.integers(1, len(delays) // 8), max_size=6))
    errors = st.one_of(st.floats(0.06, 20.0), st.floats(-20.0, -1.6), st.floats(-0.9, -0.06))
    return delays, {8 * place: draw(errors) for place in places}


@settings(max_examples=200)
@given(busy_with_wrong_stamps())
def test_wrong_stamps_make_no_other_frame_look_younger_and_none_older_by_much(case):
    delays, wrong = case
    said, true = ages_of(delays, wrong)
    right = np.array([index not in wrong for index in range(len(delays))])
    assert (said >= 0.0).all()
    assert (said - true)[right].min() > -1e-3, "it must never look younger than it is"
    assert (said - true)[right].max() <= SLIGHT * len(wrong) + 1e-3


@pytest.mark.parametrize("ahead", [0.3, 0.6, 0.9, 5.0])
@pytest.mark.parametrize("which", [[100], [100, 101], [*range(3, 300, 10)]])
def test_frames_that_are_stamped_ahead_cost_no_others(which, ahead):
    said, _ = ages_of([0.0] * 300, dict.fromkeys(which, ahead))
    assert said.max() < 1e-3


@pytest.mark.parametrize("ahead", [0.3, 0.6, 0.9, 5.0])
@pytest.mark.parametrize("how_many", [1, 2, 10])
def test_first_frames_that_are_stamped_ahead_cost_a_second_at_most(how_many, ahead):
    said, _ = ages_of([0.0] * 300, dict.fromkeys(range(how_many), ahead))
    assert said[how_many + 31 :].max() < 1e-3


@pytest.mark.parametrize("step", [-20.0, -0.9, -0.5, -0.3, 0.3, 0.9, 20.0])
@pytest.mark.parametrize("rate", [10, 30, 60])
def test_a_device_clock_that_is_set_is_followed_within_a_good_second(step, rate):
    said, _ = ages_of([0.0] * 10 * rate, dict.fromkeys(range(3 * rate, 10 * rate), step), rate)
    assert (said > 0.25).sum() <= 1.1 * rate and said[int(4.2 * rate) :].max() < 1e-3


@pytest.mark.parametrize("wrong", [{}, {199: 0.6}, {200: 0.6}, {201: 0.6}, {200: -0.5}, {201: -0.5}, {215: -5.0}])
def test_a_busy_hosts_late_frames_are_not_taken_for_a_clock_that_was_set(wrong):
    said, true = ages_of([0.4 if index >= 200 else 0.0 for index in range(600)], wrong)
    right = np.array([index not in wrong for index in range(600)])
    assert (said - true)[right].min() > -DRIFT * 20


def test_frames_behind_a_clock_that_is_set_in_the_middle_of_being_late_stay_late():
    said, true = ages_of([0.4 if index >= 100 else 0.0 for index in range(300)], dict.fromkeys(range(200, 300), -0.5))
    assert (said - true).min() > -DRIFT * 10 and said[-1] == pytest.approx(0.4, abs=0.01)


def test_a_drift_of_100_ppm_and_a_frame_ahead_each_minute_leave_ages_right_for_an_hour():
    clock, worst = DeviceClock(), 0.0
    for index in range(10 * 3600):
        captured = index / 10
        stamp = captured * (1 + DRIFT) + (0.7 if index % 600 == 30 else 0.0)
        worst = max(worst, clock.age(stamp, captured))
    assert worst < 1e-3


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


# Recordings


def shades(count: int) -> list[np.ndarray]:
    return [np.full((48, 64, 3), (40 * index, 100, 250 - 40 * index), np.uint8) for index in range(count)]


def folder(path: Path, pictures: list[np.ndarray]) -> Path:
    path.mkdir()
    for index, picture in enumerate(pictures):
        PillowImage.fromarray(picture).save(path / f"{index:03}.png")
    return path


def video(path: Path, pictures: list[np.ndarray], fps: float) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, pictures[0].shape[1::-1])
    for picture in pictures:
        writer.write(picture[..., ::-1])
    writer.release()
    return path


def bag(path: Path, pictures: list[np.ndarray], period: float, storage: StoragePlugin, compressed: bool) -> Path:
    store = get_typestore(Stores.ROS2_JAZZY)
    types = store.types
    kind = "sensor_msgs/msg/CompressedImage" if compressed else "sensor_msgs/msg/Image"
    topic = "/camera/image_raw/compressed" if compressed else "/camera/image_raw"
    header = types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](1, 0), "camera")
    with Writer(path, version=9, storage_plugin=storage) as writer:
        connection = writer.add_connection(topic, kind, typestore=store)
        for index, picture in enumerate(pictures):
            if compressed:
                data = cv2.imencode(".png", picture[..., ::-1])[1].ravel()
                message = types[kind](header, "png", data)
            else:
                height, width = picture.shape[:2]
                message = types[kind](header, height, width, "bgr8", 0, 3 * width, picture[..., ::-1].ravel())
            writer.write(connection, int(1e9 * (50 + index * period)), store.serialize_cdr(message, kind))
    return path


def play(path: Path, count: int, loop: bool = False, topic: str = "camera/image_raw") -> tuple[list[Frame], float]:
    """The frames and their mean interval [s]."""
    camera = FileCamera(path, 25.0, topic, loop, time.time_ns)
    camera.open()
    frames = [camera.read() for _ in range(count)]
    camera.close()
    return frames, (frames[-1].stamp_ns - frames[0].stamp_ns) / 1e9 / (count - 1)


@pytest.mark.parametrize(
    "kind", ["folder", "video", "sqlite3 raw", "sqlite3 compressed", "mcap raw", "mcap compressed"]
)
def test_a_recording_shows_its_pictures_at_its_own_rate_stamped_now(tmp_path, kind):
    pictures = shades(5)
    if kind == "folder":
        path = folder(tmp_path / "pictures", pictures)
    elif kind == "video":
        path = video(tmp_path / "video.avi", pictures, 25.0)
    else:
        storage = StoragePlugin.SQLITE3 if "sqlite3" in kind else StoragePlugin.MCAP
        path = bag(tmp_path / "bag", pictures, 0.04, storage, "compressed" in kind)
    begin = time.time()
    frames, interval = play(path, 5)
    for frame, picture in zip(frames, pictures, strict=True):
        assert np.abs(frame.image.astype(int) - picture).max() <= (4 if kind == "video" else 0)
    assert 0.02 < interval < 0.2, "a busy machine may delay a frame; a recording that is not paced takes a millisecond"
    assert begin <= frames[0].stamp_ns / 1e9 <= time.time()


def test_a_recording_ends_or_begins_again(tmp_path):
    path = folder(tmp_path / "pictures", shades(3))
    frames, _ = play(path, 7, loop=True)
    np.testing.assert_array_equal(frames[6].image, shades(1)[0])
    camera = FileCamera(path, 100.0, "", False, time.time_ns)
    camera.open()
    for _ in range(3):
        camera.read()
    with pytest.raises(Ended, match="is over"):
        camera.read()


def test_a_path_that_is_no_recording_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.avi").write_text("not a video")
    (tmp_path / "broken.mcap").write_bytes(b"\x89MCAP0\r\nbroken")
    broken = folder(tmp_path / "broken", shades(1))
    (broken / "000.png").write_bytes((broken / "000.png").read_bytes()[:40])
    cases = {"nowhere": "does not exist", "empty": "holds no picture that can be shown", "text.avi": "is not a video"}
    for name, why in (cases | {"broken.mcap": "not a bag", "broken": "000.png"}).items():
        camera = FileCamera(tmp_path / name, 30.0, "", False, time.time_ns)
        with pytest.raises(CameraError, match=why):
            camera.open()
            camera.read()


def shown(path: Path, fps: float = 100.0, loop: bool = False, least: int = 0) -> tuple[list[int], list[str], Capture]:
    """The numbers of the shades that a capture shows until the recording is over, and what it says."""
    frames: list[Frame] = []
    said: list[str] = []
    capture = Capture(FileCamera(path, fps, "camera/image_raw", loop, time.time_ns), frames.append, said.append)
    capture.start()
    until(lambda: capture.ended or (least and len(frames) >= least), "the recording is over")
    capture.stop()
    return [int(frame.image[0, 0, 0]) // 40 for frame in frames], said, capture


@pytest.mark.parametrize("kind", ["folder", "bag"])
def test_pictures_that_are_broken_are_left_out_and_named_once_and_the_recording_goes_on_to_its_end(tmp_path, kind):
    if kind == "folder":
        path = folder(tmp_path / "pictures", shades(6))
        (path / "._001.png").write_bytes(b"Mac OS X")
        (path / "001.png").write_bytes((path / "001.png").read_bytes()[:60])
        (path / "002.png").write_bytes(b"")
        (path / "0025.png").symlink_to("nowhere")
        (path / "0026.png").mkdir()
        names = ["._001.png", "001.png", "0025.png", "0026.png", "002.png"]
    else:
        pictures = shades(6)
        pictures[1] = pictures[2] = np.zeros((0, 0, 3), np.uint8)
        path = bag(tmp_path / "bag", pictures, 0.01, StoragePlugin.MCAP, False)
        names = ["picture 1 of /camera/image_raw", "picture 2 of /camera/image_raw"]
    numbers, said, capture = shown(path)
    assert numbers == [0, 3, 4, 5] and capture.reconnections == 0 and capture.problem.endswith("is over")
    assert all(any(name in text for text in said) for name in names) and len(said) == len(names) + 2
    numbers, said, capture = shown(path, loop=True, least=9)
    assert numbers[:9] == [0, 3, 4, 5, 0, 3, 4, 5, 0] and len(said) == len(names) + 1, "named once, not in each round"


def test_a_recording_with_hundreds_of_broken_pictures_names_twenty_and_counts_the_others(tmp_path):
    path = folder(tmp_path / "pictures", shades(2))
    for number in range(300):
        (path / f"000-{number:03}.png").write_bytes(b"")
    numbers, said, _ = shown(path)
    assert numbers == [0, 1] and len(said) == 22
    assert "280 more of it were left out, the last: " in said[-1] and "000-299.png" in said[-1]


def test_a_single_picture_is_a_recording_of_one(tmp_path):
    path = folder(tmp_path / "pictures", shades(3)) / "001.png"
    assert shown(path)[0] == [1]


def test_a_folder_with_bag_files_is_a_bag_without_metadata_too(tmp_path):
    path = bag(tmp_path / "bag", shades(3), 0.01, StoragePlugin.SQLITE3, False)
    (path / "metadata.yaml").unlink()
    numbers, said, _ = shown(path)
    assert numbers == [0, 1, 2] and any("has no metadata.yaml" in text for text in said)


def test_a_wrong_stamp_in_a_bag_does_not_hold_up_what_follows_for_years(tmp_path):
    path = bag(tmp_path / "bag", shades(4), 0.01, StoragePlugin.SQLITE3, False)
    with sqlite3.connect(path / "bag.db3") as database:
        database.execute("UPDATE messages SET timestamp = 0 WHERE id = 1")
        database.execute("UPDATE messages SET timestamp = ? WHERE id = 4", (2**62,))
    numbers, said, _ = shown(path)
    assert numbers == [0, 1, 2, 3] and sum("between two pictures is passed over" in text for text in said) == 2


def test_a_video_that_is_cut_short_ends_and_says_how_many_pictures_it_had(tmp_path):
    path = video(tmp_path / "video.avi", shades(6) * 4, 100.0)
    os.truncate(path, round(0.95 * path.stat().st_size))
    numbers, said, _ = shown(path)
    assert 6 < len(numbers) < 24 and f"{len(numbers)} pictures were read, it says that it holds 24" in said[-1]


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


# OpenCV's capture. There is no camera here: a video through the same class and the same library.


def webcam(path: Path) -> V4l2:
    return V4l2(str(path), 64, 48, 30, *AUTOMATIC, time.time_ns)


def test_a_webcams_frames_are_rgb_and_its_end_is_noticed_and_it_is_opened_again(tmp_path):
    path = tmp_path / "camera.avi"
    frames: list[Frame] = []
    capture = Capture(webcam(path), frames.append, lambda text: None, rotation=90)
    capture.start()
    until(lambda: capture.problem and "cannot be opened" in capture.problem, "it is said to be missing")
    video(tmp_path / "other.avi", shades(4), 30).rename(path)
    until(lambda: len(frames) >= 8, "frames, and after the end of them frames again")
    capture.stop()
    assert capture.reconnections >= 1
    assert frames[0].image.shape == (64, 48, 3)
    assert np.abs(frames[1].image.astype(int) - (40, 100, 210)).max() <= 4
    assert abs(frames[-1].stamp_ns / 1e9 - time.time()) < 5


def test_a_webcam_that_is_not_there_is_named():
    with pytest.raises(CameraError, match="/dev/video77 cannot be opened"):
        webcam(Path("/dev/video77")).open()


# Turning


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
