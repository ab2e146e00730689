"""The camera node with a camera of its own: a software RealSense that stops, slows, goes black, or is unplugged."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyrealsense2
import pytest
import rclpy
from ros_harness import Listener, node_process
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from software_realsense import Feeding, SoftwareRealSense
from test_recorded_cameras import folder

from rig_robot.common.message_fields import stamp_s
from rig_robot.messages.diagnostics import ERROR, WARN
from rig_robot.nodes.camera import CameraNode
from rig_robot.ros.qos import OBSERVATION
from rig_robot.vision.image_decoding import from_raw
from rig_robot.vision.observation import CENTRE_SQUARE, prepare
from rig_robot.vision.view_check import reference

PLAIN = Path(__file__).parent / "data" / "plain_vae"
"""A checkpoint trained in the plain scene, which keeps what stands still in it"""

PICTURE = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
Start = Callable[..., CameraNode]


@pytest.fixture
def start(checkpoint) -> Iterator[Start]:
    """Makes a camera node in this process; its camera publishes from a thread of its own, so nothing needs to spin."""
    nodes: list[CameraNode] = []

    def start(context: Any = None, **parameters: Any) -> CameraNode:
        arguments = ["--ros-args"]
        for name, value in ({"checkpoint": str(checkpoint)} | parameters).items():
            arguments += ["-p", f"{name}:={value}"]
        rclpy.init(args=arguments)
        nodes.append(CameraNode(devices=context))
        return nodes[-1]

    yield start
    for node in nodes:
        node.stop()
        node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture
def device() -> tuple[SoftwareRealSense, pyrealsense2.context]:
    device, context = SoftwareRealSense(), pyrealsense2.context()
    device.plug_in(context)
    return device, context


class Health:
    """What the node would say on /diagnostics."""

    def __init__(self, node: CameraNode) -> None:
        self.node = node

    def until(self, level: bytes, words: str, patience: float = 15.0) -> dict[str, Any]:
        end = time.monotonic() + patience
        while True:
            time.sleep(0.3)
            found, text, values = self.node.health()
            if found == level and words in text:
                return values
            assert time.monotonic() < end, f"{found!r} {text!r}, not {words!r}"


def opened(node: CameraNode, device: SoftwareRealSense, listener: Listener) -> list[Image]:
    """Hear observations, once the first has come through."""
    heard = listener.hear(Image, "rig/observation/image", OBSERVATION)

    def first() -> bool:
        device.deliver(PICTURE)
        listener.spin(0.05)
        return bool(heard)

    listener.until(first, "a frame goes through")
    listener.spin(0.2)
    heard.clear()
    return heard


def test_a_frame_becomes_an_observation_and_a_whole_picture_with_calibration_of_the_same_stamp(start, device, listener):
    camera, context = device
    node = start(context, source="realsense", frame_id="optical")
    wholes = listener.hear(Image, "camera/image_raw", OBSERVATION)
    infos = listener.hear(CameraInfo, "camera/camera_info", OBSERVATION)
    observations = opened(node, camera, listener)
    listener.until(lambda: wholes and infos, "the whole picture comes as well")
    wholes.clear(), infos.clear()
    captured = time.time() - 0.1
    camera.deliver(PICTURE, age=0.1)
    listener.until(lambda: observations and wholes and infos, "all three messages")
    np.testing.assert_array_equal(from_raw(observations[0]), prepare(PICTURE, CENTRE_SQUARE, 48))
    np.testing.assert_array_equal(from_raw(wholes[0]), PICTURE)
    assert observations[0].header == wholes[0].header == infos[0].header
    assert observations[0].header.frame_id == "optical"
    assert abs(stamp_s(observations[0].header.stamp) - captured) < 0.05
    assert infos[0].k[0] == 600.0 and (infos[0].width, infos[0].height) == (640, 480)


def test_late_and_black_frames_are_not_passed_on_and_said(start, device, listener):
    camera, context = device
    node = start(context, source="realsense")
    observations = opened(node, camera, listener)
    before = node.health()[2]["frames dropped"]
    with Feeding(camera, lambda: PICTURE, age=0.5):
        Health(node).until(WARN, "older than 0.3 s")
    with Feeding(camera, lambda: np.full_like(PICTURE, 2)):
        values = Health(node).until(WARN, "black")
    listener.spin(0.3)
    assert not observations and values["frames dropped"] > before + 5
    with Feeding(camera, lambda: PICTURE):
        listener.until(lambda: observations, "good frames pass again")


def test_a_slow_camera_a_stopped_one_and_an_unplugged_one_are_told_and_it_comes_back(start, device, listener):
    camera, context = device
    node = start(context, source="realsense")
    opened(node, camera, listener)
    health = Health(node)
    with Feeding(camera, lambda: PICTURE, rate=4):
        health.until(WARN, "frames a second; at least 21 are needed")
    health.until(ERROR, "no frame for 1 s")
    camera.unplug()
    health.until(ERROR, "present: none")
    camera.plug_in(context)
    heard = listener.hear(Image, "rig/observation/image", OBSERVATION)
    with Feeding(camera, lambda: PICTURE):
        listener.until(lambda: heard, "frames come again")
        # A busy machine may take fewer than 21 a second; only what says that the camera is gone counts.
        end = time.monotonic() + 30
        while node.health()[0] == ERROR:
            assert time.monotonic() < end
            time.sleep(0.3)
    assert node.health()[2]["reconnections"] >= 1


def test_frames_that_the_device_counted_and_that_never_came_are_told(start, device, listener):
    camera, context = device
    node = start(context, source="realsense")
    opened(node, camera, listener)
    before = node.health()[2]["frames lost by the camera's count"]
    camera.deliver(PICTURE, skip=7)
    end = time.monotonic() + 30
    while node.health()[2]["frames lost by the camera's count"] < before + 7:
        assert time.monotonic() < end, "seven lost frames on /diagnostics"
        time.sleep(0.1)


def test_a_changed_resolution_is_told_and_another_aspect_refused(start, listener, tmp_path):
    pictures = [PICTURE] * 3 + [PICTURE[::2, ::2]] * 3 + [PICTURE[:, :480]] * 3
    node = start(source="file", path=folder(tmp_path / "pictures", pictures), fps=10)
    values = Health(node).until(WARN, "is over")
    assert values["changes of resolution"] == 2 and values["resolution"] == "480x480"
    assert values["frames passed on"] == 6 and values["frames dropped"] == 3


def test_a_turned_camera_with_a_crop_of_its_own_shows_the_same_observation(start, listener, tmp_path):
    # Mounted on its side, and wider than the checkpoint's: what is observed is the same part of the scene.
    wide = np.random.default_rng(1).integers(0, 256, (480, 960, 3), dtype=np.uint8)
    wide[:, 160:800] = PICTURE
    path = folder(tmp_path / "pictures", [np.rot90(wide)] * 2)
    crop = [(160 + 80) / 960, 0.0, 480 / 960, 1.0]
    start(source="file", path=path, loop="true", rotation=90, crop=crop)
    observations = listener.hear(Image, "rig/observation/image", OBSERVATION)
    wholes = listener.hear(Image, "camera/image_raw", OBSERVATION)
    listener.until(lambda: observations and wholes, "an observation")
    np.testing.assert_array_equal(from_raw(observations[0]), prepare(PICTURE, CENTRE_SQUARE, 48))
    np.testing.assert_array_equal(from_raw(wholes[0]), wide)


def test_a_view_that_is_not_the_checkpoints_any_more_is_a_warning(start, tmp_path):
    known = reference(PLAIN)
    assert known is not None
    scene = np.zeros((480, 640, 3), np.uint8)
    scene[:, 80:560] = np.kron(known.median, np.ones((10, 10, 1), np.uint8))
    moved = np.roll(scene, (-23, 0), (0, 1))
    path = folder(tmp_path / "pictures", [moved])
    node = start(checkpoint=str(PLAIN), source="file", path=path, loop="true")
    Health(node).until(WARN, "shifted by 2.3 observation pixels up")


def test_a_compressed_topic_is_heard(checkpoint, listener):
    import cv2

    parameters = {"checkpoint": str(checkpoint), "transport": "compressed", "topic": "usb_cam/image_raw"}
    with node_process("rig_robot.nodes.camera", parameters):
        frames = listener.node.create_publisher(CompressedImage, "usb_cam/image_raw/compressed", OBSERVATION)
        observations = listener.hear(Image, "rig/observation/image", OBSERVATION)
        message = CompressedImage(format="png")
        message.data = cv2.imencode(".png", PICTURE[::8, ::8, ::-1])[1].tobytes()

        def send() -> bool:
            message.header.stamp = listener.node.get_clock().now().to_msg()
            frames.publish(message)
            listener.spin(0.05)
            return bool(observations)

        listener.until(send, "an observation")
        np.testing.assert_array_equal(from_raw(observations[0]), prepare(PICTURE[::8, ::8], CENTRE_SQUARE, 48))


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"source": "file"}, "path must be given"),
        ({"source": "file", "path": "/nowhere"}, "/nowhere does not exist"),
        ({"rotation": 45}, "must be 0, 90, 180 or 270"),
        ({"crop": [0.5, 0.0, 0.75, 1.0]}, "inside it"),
        ({"crop": [0.5]}, "inside it"),
        ({"fps": 0}, "fps"),
        ({"transport": "pigeon"}, "must be one of raw, compressed"),
    ],
)
def test_a_bad_parameter_of_a_camera_is_named(start, parameters, named):
    with pytest.raises(ValueError, match=named):
        start(**parameters)
