"""The goal node, as a process: any publisher's picture becomes a goal, a bad one is answered and changes nothing."""

import os
import re
from array import array
from collections.abc import Iterator

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_harness import Listener, NodeProcess, node_process
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger
from test_image_decoding import jpeg, png, png_header, raw_from

from rig_robot.common.message_fields import values
from rig_robot.messages.diagnostics import ERROR, OK, WARN
from rig_robot.messages.images import rgb_to_image
from rig_robot.ros.qos import LATCHED, OBSERVATION
from rig_robot.vision.image_decoding import LAYOUTS, from_raw
from rig_robot.vision.observation import CENTRE_SQUARE, prepare, prepare_goal

RELIABLE = QoSProfile(depth=5)
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


@pytest.fixture(scope="module")
def goal_node(checkpoint) -> Iterator[NodeProcess]:
    with node_process("rig_robot.nodes.goal", {"checkpoint": str(checkpoint)}) as process:
        yield process


class GoalSender:
    """Sends goal pictures and receives the node's answers."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.goals = listener.hear(Image, "rig/goal/image", LATCHED)
        self.answers = listener.hear(DiagnosticStatus, "rig/goal/status", LATCHED)
        self.publishers = {
            (kind, qos.reliability): listener.node.create_publisher(kind, topic, qos)
            for kind, topic in ((Image, "rig/goal/image_in"), (CompressedImage, "rig/goal/image_in/compressed"))
            for qos in (RELIABLE, BEST_EFFORT)
        }
        for (_, reliability), publisher in self.publishers.items():
            # The node has a reliable and a best-effort subscription; a best-effort publisher matches one of them.
            expected = 2 if reliability is ReliabilityPolicy.RELIABLE else 1
            listener.until(lambda p=publisher, n=expected: p.get_subscription_count() == n, "the goal node listens")
        listener.until_heard("rig/goal/status")
        listener.wait_until_discovered_by("goal")
        listener.spin(0.3)  # the goal and the answer of the test before
        self.forget()

    def forget(self) -> None:
        self.goals.clear()
        self.answers.clear()

    def send(self, message: Image | CompressedImage, qos: QoSProfile = RELIABLE) -> DiagnosticStatus:
        """Publish a picture and return the node's one answer."""
        self.forget()
        self.publishers[type(message), qos.reliability].publish(message)
        self.listener.until(lambda: self.answers, "an answer on rig/goal/status")
        self.listener.spin(0.15)
        assert len(self.answers) == 1, "one picture, one answer"
        return self.answers[0]

    def goal(self) -> np.ndarray:
        self.listener.until(lambda: self.goals, "a goal")
        return from_raw(self.goals[-1])


@pytest.fixture
def person(goal_node, listener) -> GoalSender:
    return GoalSender(listener)


def image(picture: np.ndarray, encoding: str = "rgb8") -> Image:
    raw = raw_from(picture, encoding)
    return Image(
        width=raw.width, height=raw.height, encoding=encoding, step=raw.step, data=array("B", raw.data.tobytes())
    )


def compressed(data: bytes, kind: str = "png") -> CompressedImage:
    return CompressedImage(format=kind, data=array("B", data))


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_pictures_of_every_encoding_and_qos_become_the_same_goal_once(person):
    for number, encoding in enumerate(LAYOUTS):
        for qos in (RELIABLE, BEST_EFFORT):
            sent = image(noise(480, 640, seed=number), encoding)
            answer = person.send(sent, qos)
            assert answer.level == OK, answer.message
            np.testing.assert_array_equal(person.goal(), prepare(from_raw(sent), CENTRE_SQUARE, 48))
            assert len(person.goals) == 1, "heard by both subscriptions, it must count once"


@pytest.mark.parametrize("qos", [RELIABLE, BEST_EFFORT], ids=["reliable", "best effort"])
def test_files_become_goals(person, qos):
    picture = noise(96, 128)
    assert person.send(compressed(png(picture)), qos).level == OK
    np.testing.assert_array_equal(person.goal(), prepare(picture, CENTRE_SQUARE, 48))
    assert person.send(compressed(jpeg(picture), "jpeg"), qos).level == OK
    assert person.goal().shape == (48, 48, 3)


def test_an_observation_passes_as_it_is_and_an_odd_shape_is_fitted_with_a_warning(person):
    person.send(image(noise(48, 48)))
    np.testing.assert_array_equal(person.goal(), noise(48, 48))
    answer = person.send(image(noise(300, 100)))
    assert answer.level == WARN and "300" in answer.message
    expected, _ = prepare_goal(noise(300, 100), CENTRE_SQUARE, 48, 4 / 3)
    np.testing.assert_array_equal(person.goal(), expected)


def bad_pictures() -> dict[str, tuple[Image | CompressedImage, str]]:
    """Return, by name, the pictures to send and what each rejection must mention."""
    good = noise(48, 64)
    truncated, wrong_step, long_step, unknown, bayer, big, bomb = (image(good) for _ in range(7))
    truncated.data = truncated.data[:-5]
    wrong_step.step = 60
    long_step.step = 1000
    unknown.encoding = "\x00nonsense"
    bayer.encoding = "bayer_rggb8"
    bomb.width = bomb.height = 2**32 - 1
    big.width, big.height, big.step = 10_000, 10_000, 30_000
    random = os.urandom(5000)
    return {
        "truncated bytes": (truncated, "bytes of data"),
        "short step": (wrong_step, "step"),
        "long step": (long_step, "bytes of data"),
        "unknown encoding": (unknown, "encoding"),
        "an encoding of cameras": (bayer, "bayer_rggb8"),
        "empty": (Image(encoding="rgb8"), "no pixels"),
        "all fields at their default": (Image(), "encoding"),
        "100 megapixels": (big, "megapixels"),
        "more pixels than memory": (bomb, "megapixels"),
        "random bytes": (compressed(random), "PNG or JPEG"),
        "no bytes": (compressed(b""), "no bytes"),
        "png cut short": (compressed(png(good)[:-200]), "cut short"),
        "jpeg cut short": (compressed(jpeg(good)[:-200], "jpeg"), "cut short"),
        "png of 100 megapixels": (compressed(png_header(10_000, 10_000)), "megapixels"),
        "png of 10,000 megapixels": (compressed(png_header(100_000, 100_000)), "exceeds limit"),
        "a png header and then noise": (compressed(png(good)[:40] + random), "cut short|PNG or JPEG"),
    }


def test_bad_pictures_are_refused_in_words_and_the_old_goal_stays(person, goal_node):
    person.send(image(noise(48, 48)))
    kept = person.listener.hear(Image, "rig/goal/image", LATCHED)
    for name, (message, speaks_of) in bad_pictures().items():
        for qos in (RELIABLE, BEST_EFFORT):
            answer = person.send(message, qos)
            assert answer.level == ERROR, name
            assert re.search(speaks_of, answer.message), f"{name}: {answer.message}"
            assert "old goal stays" in answer.message
            assert values(answer)["accepted"] == "False"
            assert not person.goals, name
    assert goal_node.running()
    assert "goal picture refused" in goal_node.output() and "Traceback" not in goal_node.output()
    person.listener.until(lambda: kept, "who comes late hears the old goal")
    np.testing.assert_array_equal(from_raw(kept[0]), noise(48, 48))
    assert person.send(image(noise(48, 48, seed=5))).level == OK


def test_bytes_that_are_no_ros_message_at_all_kill_nothing(person, goal_node):
    for publisher in person.publishers.values():
        for data in (b"", os.urandom(300), b"\0\1\0\0" + b"\xff" * 100):
            publisher.publish(data)
            person.listener.spin(0.05)
    assert goal_node.running()
    assert person.send(image(noise(48, 48))).level == OK


def test_the_current_view_becomes_the_goal_only_while_it_is_fresh(person):
    listener = person.listener
    answer = listener.call(Trigger, "goal/capture")
    assert not answer.success and "rig/observation/image" in answer.message
    camera = listener.node.create_publisher(Image, "rig/observation/image", OBSERVATION)
    listener.until(lambda: camera.get_subscription_count(), "the goal node sees the camera")
    listener.wait_until_discovered_by("goal")

    def look() -> bool:
        view = rgb_to_image(noise(48, 48, seed=3), listener.node.get_clock().now().to_msg(), "camera")
        camera.publish(view)
        listener.spin(0.05)
        return listener.call(Trigger, "goal/capture").success

    listener.until(look, "the current view is the goal")
    np.testing.assert_array_equal(person.goal(), noise(48, 48, seed=3))
    listener.spin(0.4)
    answer = listener.call(Trigger, "goal/capture")
    assert not answer.success and "old" in answer.message


def test_clear_publishes_an_empty_goal(person):
    person.send(image(noise(48, 48)))
    person.forget()
    assert person.listener.call(Trigger, "goal/clear").success
    person.listener.until(lambda: person.goals, "an empty goal")
    assert (person.goals[-1].width, person.goals[-1].height) == (0, 0)
    answer = person.send(Image())
    assert "still no goal" in answer.message


def test_the_limit_of_megapixels_is_bounded(checkpoint):
    with node_process("rig_robot.nodes.goal", {"checkpoint": str(checkpoint), "max_megapixels": -1.0}) as process:
        assert process.wait() == 2
        assert "max_megapixels" in process.output() and "Traceback" not in process.output()
