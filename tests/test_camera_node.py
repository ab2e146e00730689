"""The camera node, as a process: what it makes of frames is what training makes of them, and only fresh ones pass."""

from array import array
from collections.abc import Iterator

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile
from ros_harness import Listener, NodeProcess, node_process
from sensor_msgs.msg import Image
from test_image_decoding import raw_from

from rig_robot.ros.qos import OBSERVATION
from rig_robot.vision.image_decoding import LAYOUTS, from_raw
from rig_robot.vision.observation import CENTRE_SQUARE, prepare

GREY = np.full((480, 640, 3), 100, np.uint8)


@pytest.fixture(scope="module")
def camera(checkpoint) -> Iterator[NodeProcess]:
    with node_process("rig_robot.nodes.camera", {"checkpoint": str(checkpoint)}) as process:
        yield process


class Driver:
    """Acts as the camera driver and receives the observations of its frames."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.observations = listener.hear(Image, "rig/observation/image", OBSERVATION)
        self.frames = listener.node.create_publisher(Image, "camera/image_raw", OBSERVATION)
        listener.until_heard("camera/image_raw", subscribers=1)
        listener.until_heard("rig/observation/image")
        listener.wait_until_discovered_by("camera")

    def send(self, picture: np.ndarray, encoding: str = "rgb8", age_s: float = 0.0) -> Image:
        raw = raw_from(picture, encoding)
        message = Image(width=raw.width, height=raw.height, encoding=encoding, step=raw.step)
        message.data = array("B", raw.data)
        now = self.listener.node.get_clock().now().nanoseconds - int(1e9 * age_s)
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(now, 1_000_000_000)
        message.header.frame_id = "camera"
        self.frames.publish(message)
        return message


@pytest.fixture
def driver(camera, listener) -> Driver:
    return Driver(listener)


@pytest.mark.parametrize("encoding", LAYOUTS)
def test_an_observation_is_what_training_makes_of_the_frame(driver, encoding):
    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    sent = driver.send(picture, encoding)
    driver.listener.until(lambda: driver.observations, "an observation")
    found = driver.observations[0]
    assert found.header == sent.header, "the capture stamp must stay"
    np.testing.assert_array_equal(from_raw(found), prepare(from_raw(sent), CENTRE_SQUARE, 48))


def test_frames_of_another_resolution_but_the_same_aspect_pass(driver):
    driver.send(GREY[::2, ::2])
    driver.listener.until(lambda: driver.observations, "an observation")


def test_stale_future_odd_and_broken_frames_do_not_pass_but_are_counted(driver, camera):
    picture = GREY
    health = driver.listener.hear(DiagnosticArray, "/diagnostics", 10)

    def dropped() -> int:
        found = [m.status[0] for m in health if m.status[0].name == "camera"]
        return int(next(v.value for v in found[-1].values if v.key == "frames dropped")) if found else -1

    driver.listener.until(lambda: dropped() >= 0, "the camera reports its health")
    before = dropped()
    driver.send(picture, age_s=0.4)
    driver.listener.spin(0.1)
    driver.send(picture, age_s=-0.2)
    driver.listener.spin(0.1)
    driver.send(picture[:, :480])
    driver.listener.spin(0.1)
    driver.frames.publish(Image(width=640, height=480, encoding="rgb8", step=1920))
    driver.listener.spin(0.1)
    driver.send(np.full_like(picture, 3))
    driver.listener.until(lambda: dropped() == before + 5, "five dropped frames on /diagnostics")
    assert not driver.observations
    assert "aspect" in camera.output() and "future" in camera.output() and "older than 0.3 s" in camera.output()
    assert "black" in camera.output()
    driver.send(picture)
    driver.listener.until(lambda: driver.observations, "the next good frame passes")


def test_a_reliable_subscriber_is_told_that_its_qos_does_not_fit(camera, listener):
    health = listener.hear(DiagnosticArray, "/diagnostics", 10)
    listener.hear(Image, "rig/observation/image", QoSProfile(depth=1))
    listener.until(
        lambda: any("incompatible QoS" in v.key for m in health for v in m.status[0].values),
        "incompatible QoS on /diagnostics",
        10,
    )


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({}, "checkpoint must be given"),
        ({"checkpoint": "/nowhere"}, "/nowhere"),
        ({"source": "telepathy"}, "must be one of topic"),
        ({"checkpoint": 3}, "checkpoint"),
    ],
)
def test_a_bad_parameter_ends_the_node_with_one_line(checkpoint, parameters, named):
    if "source" in parameters:
        parameters = parameters | {"checkpoint": str(checkpoint)}
    with node_process("rig_robot.nodes.camera", parameters) as process:
        assert process.wait() == 2
        lines = [line for line in process.output().splitlines() if line.strip()]
        assert len(lines) == 1 and named in lines[0], process.output()
