"""Cameras whose pictures are on disk, each through its real library: folders, videos and bags that are written here."""

import os
import sqlite3
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from test_cameras import until

from rig_robot.cameras.capture import Capture
from rig_robot.cameras.driver import CameraError, Ended, Frame
from rig_robot.cameras.playback import FileCamera
from rig_robot.cameras.v4l2 import V4l2

AUTOMATIC = (0.0, 0.0, 0.0)


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
