"""`rig doctor` finds what is wrong with a running robot, on real DDS: joint states, clocks, commands, frames, nodes."""

import dataclasses
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rclpy
from examined_robot import assert_found, camera_frame, well, with_camera
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from rig_robot.commands.doctor import _listen as listen_to
from rig_robot.doctor import system_listener as listening
from rig_robot.doctor.check_result import Level
from rig_robot.doctor.checks import arm, camera, dds
from rig_robot.doctor.checks import nodes as running
from rig_robot.doctor.examined_system import OWN_TOPIC, ExaminedSystem
from rig_robot.doctor.heard import Heard, JointMessage, Stream, Topics
from rig_robot.messages.images import rgb_to_image
from rig_robot.ros.qos import COMMAND, LATCHED, OBSERVATION
from rig_sim.world import HOME, JOINTS

pytestmark = pytest.mark.slow  # each test waits until DDS has discovered its robot
COMMANDS = "joint_trajectory_controller/joint_trajectory"


class Robot:
    """Acts as driver and controller in the test process: publishes joint states and frames of any kind."""

    def __init__(self, namespace: str, **parameters: Any) -> None:
        self._context = rclpy.Context()
        self._context.init()
        given = [rclpy.Parameter(name, value=value) for name, value in parameters.items()]
        self.node = Node(
            "driver",
            namespace=namespace,
            context=self._context,
            parameter_overrides=given,
            automatically_declare_parameters_from_overrides=True,
        )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def tell_joints(self, names: Sequence[str] = JOINTS, late: float = 0.0, rate: float = 100.0, **qos: Any) -> None:
        """Publish joint states that were measured `late` seconds ago."""
        publisher = self.node.create_publisher(JointState, "joint_states", qos.get("qos", COMMAND))

        def tell() -> None:
            stamp = (self.node.get_clock().now() - Duration(seconds=late)).to_msg()
            message = JointState(name=list(names), position=[float(q) for q in HOME[: len(names)]])
            message.header.stamp = stamp
            publisher.publish(message)

        self.node.create_timer(1.0 / rate, tell)

    def show(self, picture: np.ndarray) -> None:
        publisher = self.node.create_publisher(Image, OWN_TOPIC, OBSERVATION)
        self.node.create_timer(
            1 / 30, lambda: publisher.publish(rgb_to_image(picture, self.node.get_clock().now().to_msg(), "camera"))
        )

    def close(self) -> None:
        self._executor.shutdown()
        self._thread.join()
        self.node.destroy_node()
        self._context.try_shutdown()


@pytest.fixture
def robot(request: pytest.FixtureRequest) -> Iterator[Callable[..., Robot]]:
    """Start a robot in a namespace of the test's own."""
    started: list[Robot] = []

    def start(**parameters: Any) -> Robot:
        started.append(Robot(request.node.originalname, **parameters))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def listen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ExaminedSystem]:
    """Listen in the test's namespace, as `rig doctor` does."""
    monkeypatch.setattr(listening, "PATIENCE", 0.0)  # the test's nodes say nothing of their health

    def now(until: Callable[[Heard], Any], seconds: float = 0.6) -> ExaminedSystem:
        name = request.node.originalname
        system = well(namespace=name)
        topics = Topics(
            "joint_states",
            OWN_TOPIC,
            system.command_topic,
            system.controller_settings,
            ["driver", "arm"],
            False,
            False,
        )
        while not until(heard := listening.listen(topics, name, seconds)) and seconds < 10.0:
            seconds *= 2.0  # a busy machine is slow to discover
        return dataclasses.replace(system, heard=heard)

    return now


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    return camera_frame()


def test_joints_by_other_names_are_listed(robot, listen) -> None:
    robot().tell_joints(names=[*JOINTS[:5], "wrist_2", "wrist_3"])
    finding = arm.joint_states(listen(lambda heard: heard.joints.arrivals))
    assert_found(finding, Level.FAIL, "right_j5, right_j6", "wrist_2")


def test_joints_that_never_come_in_one_message_are_found(robot, listen) -> None:
    robot().tell_joints(names=JOINTS[:3])
    robot().tell_joints(names=JOINTS[3:])
    system = listen(lambda heard: heard.joints.positions.keys() >= set(JOINTS))
    assert_found(arm.joint_states(system), Level.FAIL, "never all joints in one message", "right_j0", "right_j6")
    assert_found(arm.pose(system), Level.WARN, "not known")


def test_two_publishers_of_the_same_joints_are_named(robot, listen) -> None:
    drivers = [robot(), robot()]
    for driver in drivers:
        driver.tell_joints()
    system = listen(lambda heard: len(heard.joint_messages) > 1)
    assert_found(arm.joint_states(system), Level.FAIL, "2 publishers", drivers[0].node.get_fully_qualified_name())


def test_a_gripper_on_the_same_topic_is_no_second_publisher_of_the_arms_joints(robot, listen) -> None:
    robot().tell_joints()
    robot().tell_joints(names=["finger_left", "finger_right"])
    system = listen(lambda heard: len(heard.joint_messages) > 1 and len(heard.joints.arrivals) > 50)
    assert arm._wrong_messages(system, list(JOINTS)) is None


@pytest.mark.parametrize(
    ("names", "positions", "word"),
    [((*JOINTS, JOINTS[0]), 8, "more than once"), (JOINTS, 6, "6 positions")],
    ids=["a name twice", "a position too few"],
)
def test_joint_states_that_the_arm_node_would_refuse_are_found(names, positions: int, word: str) -> None:
    told = dict.fromkeys(JOINTS, 0.0)
    stream = Stream(arrivals=[0.0, 0.01, 0.02], ages=[0.001], positions=told)
    heard = Heard(joints=stream, joint_messages=Counter({JointMessage(names, positions, b""): 3}))
    assert_found(arm.joint_states(dataclasses.replace(well(), heard=heard)), Level.FAIL, word)


def test_a_silent_driver_and_a_missing_one_are_distinguished(robot, listen) -> None:
    assert_found(arm.joint_states(listen(lambda _: True)), Level.WARN, "not running")
    robot().node.create_publisher(JointState, "joint_states", COMMAND)
    assert_found(
        arm.joint_states(listen(lambda heard: heard.publishers["joint_states"])),
        Level.FAIL,
        "driver",
        "nothing arrives",
    )


@pytest.mark.parametrize(("late", "words"), [(1.0, ("past", "1.0")), (-1.0, ("future", "chrony"))])
def test_a_clock_that_is_off_is_found_either_way(robot, listen, late: float, words: Sequence[str]) -> None:
    robot().tell_joints(late=late)
    assert_found(arm.clocks(listen(lambda heard: heard.joints.arrivals)), Level.FAIL, *words)


def test_slow_joint_states_and_no_controller_are_found(robot, listen) -> None:
    robot().tell_joints(rate=10.0)
    system = listen(lambda heard: round(heard.joints.rate) == 10 and heard.joints.longest_gap < 0.25)
    assert_found(arm.joint_states(system), Level.WARN, "10 Hz")
    assert_found(arm.commands(system), Level.FAIL, f"nobody subscribes to {COMMANDS}")


def test_a_controller_of_another_type_is_found(robot, listen) -> None:
    robot().node.create_subscription(Float64MultiArray, COMMANDS, lambda _: None, COMMAND)
    assert_found(
        arm.commands(listen(lambda heard: heard.subscribers[COMMANDS])),
        Level.FAIL,
        "Float64MultiArray",
        "JointTrajectory",
    )


def test_a_controller_that_starts_each_command_where_the_arm_lags_is_found(robot, listen) -> None:
    driver = robot(interpolate_from_desired_state=False)
    driver.node.create_subscription(JointTrajectory, COMMANDS, lambda _: None, COMMAND)
    assert_found(
        arm.commands(listen(lambda heard: any(heard.parameters.values()))),
        Level.FAIL,
        "interpolate_from_desired_state: false",
    )


def test_another_commander_and_a_qos_that_passes_nothing_are_found(robot, listen) -> None:
    driver = robot()
    driver.node.create_subscription(JointTrajectory, COMMANDS, lambda _: None, LATCHED)
    driver.node.create_publisher(JointTrajectory, COMMANDS, COMMAND)
    system = listen(lambda heard: heard.subscribers[COMMANDS] and heard.publishers[COMMANDS])
    assert_found(arm.commands(system), Level.FAIL, "another commander", "driver")
    assert_found(arm.qos(system), Level.FAIL, COMMANDS, "driver")


def test_an_arm_outside_the_box_is_found(robot, listen) -> None:
    robot().tell_joints()  # the Sawyer's home is just outside
    assert_found(arm.pose(listen(lambda heard: heard.joints.arrivals)), Level.WARN, "outside the box")


def test_frames_of_another_aspect_are_found(robot, listen, frame: np.ndarray) -> None:
    robot().show(cv2.resize(frame, (640, 360)))
    assert_found(camera.frames(listen(lambda heard: len(heard.frames.arrivals) > 5)), Level.FAIL, "640x360", "640x480")


def test_nodes_that_go_by_different_clocks_are_found(robot, listen) -> None:
    robot(use_sim_time=True)
    system = listen(lambda heard: any(heard.parameters.values()))
    told = system.heard.parameters | {"/x/arm": {"use_sim_time": False}}
    mixed = dataclasses.replace(system, heard=dataclasses.replace(system.heard, parameters=told))
    assert_found(dds.simulated_time(mixed), Level.FAIL, "/x/arm", "driver")
    assert_found(dds.simulated_time(system), Level.FAIL, "nobody publishes /clock")
    assert_found(running.nodes(system), Level.WARN, "not running")


def test_a_node_that_is_there_twice_is_found(robot, listen) -> None:
    robot()
    robot()
    assert_found(dds.domain_nodes(listen(lambda heard: len(heard.nodes) > 1)), Level.FAIL, "more than once", "driver")


def test_a_camera_that_nobody_has_opened_is_opened_and_given_back(frame: np.ndarray, tmp_path: Path, listen) -> None:
    for number in range(90):
        cv2.imwrite(str(tmp_path / f"{number:03}.png"), frame[..., ::-1])
    namespace = "test_a_camera_that_nobody_has_opened_is_opened_and_given_back"
    system = with_camera(well(namespace), source="file", path=str(tmp_path), loop=True)
    system = dataclasses.replace(system, options=dataclasses.replace(system.options, seconds=1.0))
    for _ in range(3):  # on a busy machine a gap in the frames is found because it is there
        found = camera.frames(listen_to(system, lambda name, look: look()))
        if found.level is Level.OK:
            break
    assert found.level is Level.OK and "opened for this" in found.found
    gone = listen(lambda heard: f"/{namespace}/camera" not in heard.nodes)
    assert f"/{namespace}/camera" not in gone.heard.nodes


def test_a_camera_that_cannot_be_opened_says_why() -> None:
    heard = Heard(health={"/camera": (2, "no RealSense is connected")})
    system = dataclasses.replace(with_camera(well(), source="realsense"), heard=heard)
    assert_found(camera.frames(system), Level.FAIL, "no RealSense")


def test_messages_without_a_stamp_and_a_gap_longer_than_the_watchdog_are_found() -> None:
    told = dict.fromkeys(JOINTS, 0.0)
    stream = Stream(arrivals=[0.0, 0.01, 0.4], ages=[0.001], unstamped=2, positions=told)
    forms = Counter({JointMessage(JOINTS, len(JOINTS), b""): 3})
    system = dataclasses.replace(well(), heard=Heard(joints=stream, joint_messages=forms))
    assert_found(arm.clocks(system), Level.FAIL, "no stamp")
    assert_found(arm.joint_states(system), Level.FAIL, "390 ms", "watchdog")
