"""The recorder, as a process, over real DDS: what it hears of an episode is on the disk, whole, or recovered."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.duration import Duration
from rclpy.time import Time
from ros_harness import Listener, NodeProcess, node_process
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image
from small_disk import small_disk
from std_srvs.srv import SetBool

from rig_robot.checkpoints.checkpoint import read_config
from rig_robot.inference.latent import Latent
from rig_robot.messages import latents as latent
from rig_robot.messages.arm_commands import INTERFACES
from rig_robot.messages.diagnostics import OK, diagnostic
from rig_robot.messages.images import rgb_to_image
from rig_robot.recording.episode_reader import find, latent_distances, messages
from rig_robot.recording.transitions import read_segments
from rig_robot.ros.qos import COMMAND, EPISODES, LATCHED, OBSERVATION, STATE

PERIOD = 0.1


class Robot:
    """Acts as the rest of the system: 30 frames and 10 twists a second."""

    def __init__(self, listener: Listener, checkpoint: Path) -> None:
        self.listener, self.config = listener, read_config(checkpoint)
        self.health = listener.hear(DiagnosticArray, "/diagnostics", 10)
        node = listener.node
        self.frames = node.create_publisher(Image, "camera/image_raw", OBSERVATION)
        self.observations = node.create_publisher(Image, "rig/observation/image", OBSERVATION)
        self.latents = node.create_publisher(Image, "rig/latent", OBSERVATION)
        self.goals = node.create_publisher(Image, "rig/goal/image", LATCHED)
        self.goal_latents = node.create_publisher(Image, "rig/goal/latent", LATCHED)
        self.twists = node.create_publisher(TwistStamped, "rig/policy/twist", COMMAND)
        self.poses = node.create_publisher(PoseStamped, "rig/ee_pose", STATE)
        self.status = node.create_publisher(DiagnosticStatus, "rig/arm/status", LATCHED)
        self.episodes = node.create_publisher(DiagnosticStatus, "rig/episode", EPISODES)
        self.status.publish(diagnostic("arm", OK, "moving", {"state": "moving"}))
        self.steps = 0
        self.goal_ns = 0

    def until_heard(self) -> None:
        for publisher in (self.observations, self.latents, self.twists, self.episodes, self.poses, self.status):
            self.listener.until(publisher.get_subscription_count, f"the recorder listens on {publisher.topic_name}")
        self.listener.wait_until_discovered_by("recorder")

    def show(self, seed: int) -> None:
        self.goal_ns = self.listener.node.get_clock().now().nanoseconds
        stamp = Time(nanoseconds=self.goal_ns).to_msg()
        self.goals.publish(rgb_to_image(self.picture(seed), stamp, "goal"))
        self.goal_latents.publish(latent.to_message(self.latent(0.0), stamp))

    def say(self, event: str, name: str, **other: object) -> None:
        values = {"id": name, "event": event, "mode": "reach", "goal": self.goal_ns, "steps": 0, "why": "done"} | other
        self.episodes.publish(diagnostic("episode", OK, event, values))

    def picture(self, seed: int) -> np.ndarray:
        size = self.config.camera.image_size
        return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)

    def latent(self, value: float) -> Latent:
        mean = np.full(self.config.vae.latent_size, value, np.float32)
        return Latent(self.config.vae_id, mean, np.zeros_like(mean))

    def act(self, steps: int, camera: tuple[int, int] | None = None) -> None:
        """Publish so many steps of the policy, each on the newest of three frames, their stamps evenly spaced.

        A machine that stands still makes messages late; their stamps stay a robot's.
        """
        clock, interval = self.listener.node.get_clock(), Duration(seconds=PERIOD / 3)
        due = clock.now()
        for _ in range(steps):
            for frame in range(3):
                stamp = due.to_msg()
                if camera:
                    height, width = camera
                    self.frames.publish(rgb_to_image(np.full((height, width, 3), 99, np.uint8), stamp, "camera"))
                self.observations.publish(rgb_to_image(self.picture(self.steps), stamp, "camera"))
                self.latents.publish(latent.to_message(self.latent(100.0 - self.steps), stamp))
                pose = PoseStamped()
                pose.header.stamp = stamp
                pose.pose.position.x = 0.5
                self.poses.publish(pose)
                if frame == 2:
                    twist = TwistStamped()
                    twist.header.stamp = stamp
                    twist.twist.linear.x = 0.1
                    self.twists.publish(twist)
                due += interval
                self.listener.spin(max((due - clock.now()).nanoseconds / 1e9, 0.001))
            self.steps += 1

    def told(self, text: str) -> bool:
        return any(text in message.status[0].message for message in self.health if message.status[0].name == "recorder")


@pytest.fixture
def robot(listener, checkpoint) -> Robot:
    return Robot(listener, checkpoint)


def parameters(directory: Path, checkpoint: Path, **other: object) -> dict[str, object]:
    return {"directory": str(directory), "checkpoint": str(checkpoint), "stack": '{"arm": {"rate": 100}}'} | other


@pytest.fixture
def recorder(tmp_path, checkpoint) -> Iterator[NodeProcess]:
    with node_process("rig_robot.nodes.recorder", parameters(tmp_path / "episodes", checkpoint)) as process:
        yield process


def whole(robot: Robot, root: Path, count: int = 1) -> list[Any]:
    """Wait until so many episodes are there, and return them."""
    robot.listener.until(lambda: root.is_dir() and len(find(root)[0]) >= count, f"{count} episodes in {root}")
    good, refused = find(root)
    assert not refused
    return good


@pytest.mark.alone
def test_an_episode_has_what_was_seen_asked_and_done_from_the_first_twists_frame_on(recorder, robot, tmp_path):
    robot.until_heard()
    robot.show(1)
    robot.act(12)  # before it begins: of another episode, or of none
    robot.say("start", "20260101T000000Z-abcdef", goal_kind="shown")
    first = robot.steps
    robot.act(15)
    assert not find(tmp_path / "episodes")[0], "it is there before it is whole"
    robot.say("end", "20260101T000000Z-abcdef")
    (info,) = whole(robot, tmp_path / "episodes")
    assert (info.id, info.mode, info.goal_kind, info.ended) == ("20260101T000000Z-abcdef", "reach", "shown", "done")
    assert info.goal_ns == robot.goal_ns and info.vae_id == robot.config.vae_id and not info.drops
    assert (info.camera, info.action) == (robot.config.camera, robot.config.action)
    (segment,) = read_segments(info)
    assert len(segment.actions) == 14, "every twist but the last makes a transition, and none of the episode before"
    np.testing.assert_array_equal(segment.images[0], robot.picture(first))
    np.testing.assert_array_equal(segment.goal, robot.picture(1))
    np.testing.assert_allclose(segment.actions[:, 0], 0.1 * robot.config.action.period_s / robot.config.action.scale_m)
    np.testing.assert_allclose(segment.positions[:, 0], 0.5)
    far, near = latent_distances(info)
    assert far > near, "the latents came nearer to the goal's"
    assert info.duration_s < 4.0, "a goal that was shown long ago does not make the recording longer"
    with AnyReader([info.directory]) as reader:
        said = {connection.topic for connection in reader.connections}
        assert {"/rig/policy/twist", "/rig/goal/image", "/joint_states", "/camera/image_raw"} <= said
        custom = reader.readers[0].storage.metadata.custom
        assert json.loads(custom["stack"]) == {"arm": {"rate": 100}}


@pytest.mark.alone
def test_killed_in_an_episode_it_recovers_it_when_it_starts_again_and_goes_on_in_a_second_part(
    robot, tmp_path, checkpoint
):
    root = tmp_path / "episodes"
    robot.show(1)
    with node_process("rig_robot.nodes.recorder", parameters(root, checkpoint)) as process:
        robot.until_heard()
        robot.say("start", "killed")
        robot.act(25)
        process.process.kill()
        process.wait()
    assert find(root) == ([], []) and list(root.glob(".killed.recording"))
    with node_process("rig_robot.nodes.recorder", parameters(root, checkpoint)) as process:
        (info,) = whole(robot, root)
        assert info.recovered and info.id == "killed"
        transitions = sum(len(segment.actions) for segment in read_segments(info))
        assert 13 <= transitions <= 24, "at most the last second is missing"
        robot.listener.until(lambda: "recovered" in process.output(), "the recovery is said")
        robot.listener.until(lambda: robot.act(1) or robot.told("records episode killed-2"), "the policy has gone on")
        robot.act(5)
        robot.say("end", "killed")
        _, second = whole(robot, root, 2)
        assert (second.id, second.episode, second.recovered) == ("killed-2", "killed", False)
        assert sum(len(segment.actions) for segment in read_segments(second)) >= 5


SAID_LONG_AGO = """
import time, rclpy
from sensor_msgs.msg import Image
from rig_robot.ros.qos import LATCHED
rclpy.init()
node = rclpy.create_node("said_long_ago")
publisher = node.create_publisher(Image, "rig/goal/reconstruction", LATCHED)
publisher.publish(Image(width=7))
print("said", flush=True)
time.sleep(600)
"""


def test_a_latched_message_that_is_met_late_does_not_make_the_episode_longer(robot, tmp_path, checkpoint):
    root = tmp_path / "episodes"
    with subprocess.Popen([sys.executable, "-c", SAID_LONG_AGO], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None and other.stdout.readline() == b"said\n"
            other.send_signal(signal.SIGSTOP)  # it is not discovered before it goes on
            with node_process("rig_robot.nodes.recorder", parameters(root, checkpoint)):
                robot.until_heard()
                robot.listener.spin(2.0)
                robot.say("start", "late")
                before = robot.listener.node.get_clock().now().nanoseconds
                robot.act(3)
                other.send_signal(signal.SIGCONT)
                robot.act(20)
                robot.say("end", "late")
                (info,) = whole(robot, root)
        finally:
            other.kill()
    (width,) = [message.width for _, _, message in messages(info, ["rig/goal/reconstruction"])]
    assert width == 7
    assert info.start_ns >= before - 1.1e9, "it begins with what moved, at most a second before"


def test_switched_off_it_records_nothing_and_what_was_open_is_whole(recorder, robot, tmp_path):
    robot.until_heard()
    robot.say("start", "first")
    robot.act(3)
    answer = robot.listener.call(SetBool, "recorder/record", SetBool.Request(data=False))
    assert answer.success
    (info,) = whole(robot, tmp_path / "episodes")
    assert "switched off" in info.ended
    robot.act(3)
    robot.say("end", "first")
    robot.say("start", "second")
    robot.act(3)
    robot.say("end", "second")
    assert robot.listener.set_parameter("recorder", "recording", True).successful
    robot.say("start", "third")
    robot.act(3)
    robot.say("end", "third")
    assert [info.id for info in whole(robot, tmp_path / "episodes", 2)] == ["first", "third"]


def test_ctrl_c_closes_the_episode(recorder, robot, tmp_path):
    robot.until_heard()
    robot.say("start", "last")
    robot.act(3)
    assert recorder.interrupt() == 0
    (info,) = whole(robot, tmp_path / "episodes")
    assert not info.recovered and info.ended == "the recorder stops"
    assert "Traceback" not in recorder.output()


def test_an_episode_without_an_end_is_closed_by_the_next_and_one_that_cannot_name_a_directory_is_refused(
    recorder, robot, tmp_path
):
    robot.until_heard()
    robot.say("start", "one")
    robot.act(3)
    robot.say("start", "two")
    robot.act(3)
    robot.say("start", "../three")
    robot.act(3)
    robot.say("end", "two")
    assert [info.id for info in whole(robot, tmp_path / "episodes", 2)] == ["one", "two"]
    assert "../three" in recorder.output()
    assert not list(tmp_path.glob("*three*"))


def test_a_second_recorder_in_the_same_folder_ends_at_once_and_says_why(recorder, robot, tmp_path, checkpoint):
    robot.until_heard()
    again = parameters(tmp_path / "episodes", checkpoint)
    with node_process("rig_robot.nodes.recorder", again, {"__node": "second"}) as other:
        assert other.wait() == 2
        assert "another recorder writes into" in other.output()


def test_camera_pictures_are_recorded_as_jpeg_on_request(robot, tmp_path, checkpoint):
    root = tmp_path / "episodes"
    with node_process("rig_robot.nodes.recorder", parameters(root, checkpoint, camera="jpeg")):
        robot.until_heard()
        robot.listener.until(robot.frames.get_subscription_count, "the recorder listens to the camera")
        robot.say("start", "seen")
        robot.act(4, camera=(48, 64))
        robot.say("end", "seen")
        (info,) = whole(robot, root)
    with AnyReader([info.directory]) as reader:
        (connection,) = [found for found in reader.connections if found.topic == "/camera/image_raw/compressed"]
        assert connection.msgcount >= 9, connection.msgcount
        _, _, data = next(reader.messages([connection]))
        from rig_robot.vision.image_decoding import from_compressed

        picture = from_compressed(reader.deserialize(data, connection.msgtype).data.tobytes())
    assert picture.shape == (48, 64, 3) and np.abs(picture.astype(int) - 99).max() <= 2


def test_a_disk_that_is_nearly_full_stops_the_recording_as_an_error_and_the_robot_goes_on(robot, tmp_path, checkpoint):
    with small_disk(tmp_path / "disk", 120) as disk:
        root = disk / "episodes"
        with node_process("rig_robot.nodes.recorder", parameters(root, checkpoint, min_free=0.1)) as process:
            robot.until_heard()
            robot.say("start", "before")
            robot.act(3)
            (disk / "of_somebody_else").write_bytes(bytes(30 * 2**20))
            robot.act(12)
            robot.listener.until(lambda: robot.told("GiB left, min_free is 0.10"), "the error on /diagnostics")
            (info,) = whole(robot, root)
            assert info.id == "before" and info.ended == "the disk is nearly full"
            robot.say("end", "before")
            robot.say("start", "during")
            robot.act(3)
            robot.say("end", "during")
            (disk / "of_somebody_else").unlink()
            robot.say("start", "after")
            robot.act(3)
            robot.say("end", "after")
            assert [info.id for info in whole(robot, root, 2)] == ["before", "after"]
            assert process.running() and "Traceback" not in process.output()


def test_the_usual_command_topics_are_those_of_the_arms_controllers():
    assert {name: (interface.topic, interface.type_name()) for name, interface in INTERFACES.items()} == {
        "joint_trajectory": (
            "joint_trajectory_controller/joint_trajectory",
            "trajectory_msgs/msg/JointTrajectory",
        ),
        "joint_position": ("forward_position_controller/commands", "std_msgs/msg/Float64MultiArray"),
        "twist": ("servo_node/delta_twist_cmds", "geometry_msgs/msg/TwistStamped"),
    }
