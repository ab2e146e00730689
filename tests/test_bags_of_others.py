"""Bags that `ros2 bag record` or others made serve as episodes as they are, or are refused by name."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer

from rig_robot.recording import rosbag2_format as bag
from rig_robot.recording.bag_images import BagError, read_pictures
from rig_robot.recording.jpeg import compress
from rig_robot.vision.image_decoding import from_compressed
from rig_robot.vision.observation import Crop, prepare

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from standin.episodes import (
    BEGIN,
    PERIOD,
    image,
    write,
)


def foreign(path: Path, storage: StoragePlugin, topic: str, sizes: list[tuple[int, int]], compressed: bool) -> Path:
    """A bag such as `ros2 bag record` makes: 10 pictures a second, each of one grey."""
    import cv2

    store = bag.types()
    kind = "sensor_msgs/msg/CompressedImage" if compressed else "sensor_msgs/msg/Image"
    with Writer(path, version=9, storage_plugin=storage) as writer:
        connection = writer.add_connection(topic, kind, typestore=store)
        for number, (height, width) in enumerate(sizes):
            rgb = np.full((height, width, 3), 10 * number, np.uint8)
            if compressed:
                data = cv2.imencode(".png", rgb)[1].ravel()
                header = store.deserialize_cdr(image(BEGIN, rgb), "sensor_msgs/msg/Image").header
                message = store.types[kind](header=header, format="png", data=data)
                writer.write(connection, BEGIN + number * PERIOD, store.serialize_cdr(message, kind))
            else:
                writer.write(connection, BEGIN + number * PERIOD, image(BEGIN, rgb))
    return path


@pytest.mark.parametrize("storage", StoragePlugin)
@pytest.mark.parametrize("compressed", [False, True])
def test_bags_that_others_recorded_serve_as_they_are(tmp_path, storage, compressed):
    path = foreign(tmp_path / "bag", storage, "/wrist/rgb", [(120, 160)] * 6, compressed)
    crop = Crop(0.125, 0.0, 0.75, 1.0)
    found = list(read_pictures(path, "wrist/rgb", crop, 24, 0.0))
    assert [frame.shape for frame in found] == [(24, 24, 3)] * 6
    assert [int(frame[0, 0, 0]) for frame in found] == [0, 10, 20, 30, 40, 50]
    thinned = [int(frame[0, 0, 0]) for frame in read_pictures(path, "any", crop, 24, 0.2)]
    assert thinned == [0, 20, 40], "the only topic with pictures is taken; one each 0.2 s"
    (file,) = [part for part in path.iterdir() if part.suffix in (".mcap", ".db3")]
    assert len(list(read_pictures(file, "any", crop, 24, 0.0))) == 6, "a file alone serves too"


def test_a_bag_that_cannot_serve_is_refused_by_name(tmp_path):
    crop = Crop(0.125, 0.0, 0.75, 1.0)
    truncated = foreign(tmp_path / "truncated", StoragePlugin.MCAP, "/a", [(120, 160)] * 3, False)
    os.truncate(truncated / "truncated.mcap", 4000)
    (tmp_path / "empty").mkdir()
    silent = write(tmp_path, "silent")  # an episode: three topics with pictures, none of this name
    (tmp_path / "text.mcap").write_text("not a bag")
    cases = {
        truncated: "is not a bag that can be read",
        tmp_path / "empty": "holds no MCAP or sqlite3 file",
        silent: "has pictures on .*/rig/goal/image",
        tmp_path / "text.mcap": "is not a bag that can be read",
        tmp_path / "nowhere": "is not a bag that can be read",
    }
    for path, why in cases.items():
        with pytest.raises(BagError, match=why) as refusal:
            list(read_pictures(path, "front", crop, 24, 0.0))
        assert str(path) in str(refusal.value)


def test_pictures_of_odd_sizes_are_cropped_and_shrunk_like_any_other(tmp_path):
    path = foreign(tmp_path / "bag", StoragePlugin.MCAP, "/a", [(241, 321), (97, 33)], False)
    crop = Crop(0.125, 0.0, 0.75, 1.0)
    for number, frame in enumerate(read_pictures(path, "a", crop, 24, 0.0)):
        size = [(241, 321), (97, 33)][number]
        np.testing.assert_array_equal(frame, prepare(np.full((*size, 3), 10 * number, np.uint8), crop, 24))


def test_a_jpeg_of_a_picture_is_that_picture():
    smooth = np.indices((48, 64)).sum(0).astype(np.uint8)[..., None].repeat(3, 2)
    message = bag.types().deserialize_cdr(compress(image(BEGIN, smooth)), "sensor_msgs/msg/CompressedImage")
    assert message.header.stamp.sec == BEGIN // 10**9 and message.format == "rgb8; jpeg compressed bgr8"
    assert np.abs(from_compressed(message.data.tobytes()).astype(int) - smooth).max() <= 4
