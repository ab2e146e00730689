"""`rig doctor` finds each fault that it checks for, on real DDS and real files, and nothing in a healthy system."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rclpy
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from rig_robot.bringup.environment import DDS_VARIABLES
from rig_robot.bringup.node_spec import NodeSpec
from rig_robot.bringup.options import SHIPPED_CHECKPOINT
from rig_robot.commands.doctor import _listen as listen_to
from rig_robot.commands.doctor import run
from rig_robot.common.package_files import locate, share
from rig_robot.doctor import system_listener as listening
from rig_robot.doctor.check_result import Finding, Level
from rig_robot.doctor.checks import arm, camera, checkpoint, dds, machine
from rig_robot.doctor.checks import nodes as running
from rig_robot.doctor.examined_system import OWN_TOPIC, ExaminedSystem, configured
from rig_robot.doctor.heard import Heard, JointMessage, Stream, Topics
from rig_robot.doctor.options import DoctorOptions
from rig_robot.messages.images import rgb_to_image
from rig_robot.ros.qos import COMMAND, LATCHED, OBSERVATION
from rig_sim.world import HOME, JOINTS, Camera, World

PLAIN = Path(__file__).parent / "data" / "plain_vae"
"""A checkpoint that keeps what stood still in its room"""
COMMANDS = "joint_trajectory_controller/joint_trajectory"
OF_THE_MACHINE = {"orphaned memory", "processor", "scheduling", "ROS domain"}
"""What other processes of this machine have a say in."""


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


def well(namespace: str = "", **arm_parameters: Any) -> ExaminedSystem:
    """Start the simulated system, healthy but for these parameters of its arm (None: not given)."""
    options = DoctorOptions(sim=True, namespace=namespace, checkpoint=str(PLAIN))
    return ExaminedSystem(options, [with_arm(node, arm_parameters) for node in configured(options)])


def with_arm(node: NodeSpec, parameters: dict[str, Any]) -> NodeSpec:
    if node.name != "arm":
        return node
    merged = {name: value for name, value in (node.parameters | parameters).items() if value is not None}
    return dataclasses.replace(node, parameters=merged)


def with_camera(system: ExaminedSystem, **parameters: Any) -> ExaminedSystem:
    nodes = [
        dataclasses.replace(node, parameters=node.parameters | parameters) if node.name == "camera" else node
        for node in system.nodes
    ]
    return dataclasses.replace(system, nodes=nodes)


def shown(picture: np.ndarray) -> ExaminedSystem:
    """Return a system from which one frame was received."""
    system = well()
    message = rgb_to_image(picture, rclpy.clock.Clock().now().to_msg(), "camera")
    stream = Stream(arrivals=[0.0, 1 / 30], last=message, kept=[message])
    return dataclasses.replace(system, heard=Heard(frames=stream))


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    """Return a frame of the simulated camera, uint8 [480, 640, 3]."""
    world = World()
    eye = Camera(world.model, 640, 480, "camera")
    try:
        return eye.render(world.data).copy()
    finally:
        eye.close()


def assert_found(finding: Finding, level: Level, *words: str) -> None:
    assert finding.level is level and finding.advice, finding
    assert all(word in finding.found + finding.advice for word in words), finding


# A running robot, heard over DDS


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
    system = listen(lambda heard: len(heard.joints.arrivals) > 5)
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


# Frames


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


def test_a_camera_that_nobody_has_opened_is_opened_and_given_back(frame: np.ndarray, tmp_path: Path, listen) -> None:
    for number in range(90):
        cv2.imwrite(str(tmp_path / f"{number:03}.png"), frame[..., ::-1])
    namespace = "test_a_camera_that_nobody_has_opened_is_opened_and_given_back"
    system = with_camera(well(namespace), source="file", path=str(tmp_path), loop=True)
    system = dataclasses.replace(system, options=dataclasses.replace(system.options, seconds=1.0))
    system = listen_to(system, lambda name, look: look())
    assert camera.frames(system).level is Level.OK and "opened for this" in camera.frames(system).found
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


# Configuration and checkpoint


def test_a_workspace_outside_the_box_is_found() -> None:
    assert_found(checkpoint.fits(well(workspace_low=[0.5, -0.2, 0.12])), Level.FAIL, "workspace_low", "0.45")


def test_steps_that_the_box_cuts_short_are_found() -> None:
    assert_found(checkpoint.fits(well(tool_speed=0.1)), Level.WARN, "tool_speed 0.1")


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"joint_speed": None}, ("joint_speed",)),
        ({"workspace_high": None}, ("workspace_high",)),
        ({"joint_speed": [1.0, 1.0]}, ("joint_speed", "7 joints")),
        ({"tool_acceleration": float("nan")}, ("tool_acceleration",)),
        ({"tool_speed": "fast"}, ("tool_speed", "double")),
        ({"joints": ["right_j0", "elbow"], "rest": [0.0, 0.0]}, ("elbow",)),
        ({"tool": "gripper"}, ("gripper",)),
        ({"description": "/no/where.urdf"}, ("/no/where.urdf",)),
    ],
)
def test_bounds_and_descriptions_that_are_none_are_found(parameters: dict[str, Any], words: Sequence[str]) -> None:
    assert_found(arm.description(well(**parameters)), Level.FAIL, *words)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"park": [0.6, 0.0, 0.6]}, ("park",)),
        ({"rest": [4.0, -1.18, 0.0, 2.18, 0.0, 0.57, 3.3161]}, ("right_j0",)),
    ],
)
def test_postures_that_cannot_be_had_are_found(parameters: dict[str, Any], words: Sequence[str]) -> None:
    assert_found(arm.postures(well(**parameters)), Level.FAIL, *words)


def test_corners_beyond_the_arms_reach_are_named() -> None:
    far = well(tool_offset=[0.0, 0.0, -0.6])
    assert_found(arm.postures(far), Level.FAIL, "corner 1")


def test_a_missing_margin_is_found() -> None:
    assert_found(arm.description(well(collision_margin=0.0)), Level.WARN, "collision_margin")


# The machine


def test_orphaned_shared_memory_is_found(tmp_path: Path) -> None:
    for name in ("fastdds_0123456789abcdef", "fastdds_0123456789abcdef_el"):
        (tmp_path / name).write_bytes(bytes(2**20))
        os.utime(tmp_path / name, (0, 0))
    assert_found(dds.orphaned_memory(tmp_path), Level.WARN, "2 MiB", "rig_robot.bringup.shared_memory")
    assert len(list(tmp_path.iterdir())) == 2, "the doctor looks and does not touch"


def test_too_little_shared_memory_is_found() -> None:
    system = well()
    many = dataclasses.replace(system, nodes=system.nodes * 10**5)
    assert_found(dds.shared_memory(many), Level.FAIL, "--shm-size")


@pytest.mark.parametrize(
    ("content", "words"),
    [("<dds></dds>", ("0.5 MiB", "lost")), ("<dds", ("profile.xml",)), (None, ("profile.xml", "No such file"))],
)
def test_a_profile_that_loses_frames_is_found(
    content: str | None, words: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "profile.xml"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv(DDS_VARIABLES[0], str(file))
    assert_found(dds.profile(well()), Level.FAIL, *words)


def test_a_power_saving_cpu_governor_is_found(tmp_path: Path) -> None:
    file = tmp_path / "cpu0" / "cpufreq" / "scaling_governor"
    file.parent.mkdir(parents=True)
    file.write_text("powersave\n")
    assert_found(machine.cores(5, tmp_path), Level.WARN, "performance")


def test_late_wakeups_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    sleep = time.sleep
    monkeypatch.setattr(machine.time, "sleep", lambda seconds: sleep(seconds + 0.02))
    assert_found(machine.scheduling_latency(100.0, seconds=0.2), Level.WARN, "jerks")


def test_a_priority_that_is_not_allowed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(machine.os, "sched_setscheduler", refuse)
    assert_found(machine.realtime(40), Level.WARN, "rtprio 98")


def test_a_robot_in_the_domain_of_simulations_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "77")
    system = dataclasses.replace(well(), options=DoctorOptions())
    heard = Heard(nodes=["/arm"])
    assert_found(dds.domain_nodes(dataclasses.replace(system, heard=heard)), Level.WARN, "domain of simulations")


def test_a_renderer_that_is_not_there_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/no/where")
    monkeypatch.setenv("PYOPENGL_PLATFORM", "nonsense")
    assert_found(machine.rendering(sim=False), Level.WARN, "osmesa", "libegl1")


@pytest.mark.parametrize("asked", ["glfw", "vulcan"])
def test_a_way_to_draw_that_does_not_work_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setenv("MUJOCO_GL", asked)
    monkeypatch.setenv("DISPLAY", ":99")
    assert_found(machine.rendering(sim=True), Level.FAIL, asked, "MUJOCO_GL")


# The command


def doctor(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rig_robot.cli", "doctor", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={name: value for name, value in os.environ.items() if name not in DDS_VARIABLES},
    )


def test_a_bad_configuration_is_one_finding_and_the_rest_goes_on(tmp_path: Path) -> None:
    config = tmp_path / "robot.yaml"
    config.write_text(yaml.safe_dump({"arm": {"preset": "sawyer"}, "kamera": {}}))
    done = doctor("--config", config, "--json", tmp_path / "found.json")
    assert done.returncode == 1 and "kamera" in done.stdout and "Traceback" not in done.stderr, done.stderr
    found = {finding["name"]: finding["level"] for finding in json.loads((tmp_path / "found.json").read_text())}
    assert found["configuration"] == "FAIL" and found["rendering (GL)"] == "ok"


def test_a_damaged_checkpoint_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(locate(SHIPPED_CHECKPOINT), damaged)
    content = bytearray((damaged / "vae.safetensors").read_bytes())
    content[-1] ^= 1
    (damaged / "vae.safetensors").write_bytes(content)
    assert run(DoctorOptions(checkpoint=str(damaged), sim=True)) == 1
    output = capsys.readouterr().out
    assert "vae.safetensors: sha256 is" in output


def test_a_check_that_raises_is_a_finding_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: ExaminedSystem) -> Finding:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr(camera, "focus", broken)
    monkeypatch.setattr(machine, "rendering", lambda _: Finding("rendering (GL)", Level.OK, ""))
    assert run(DoctorOptions(sim=True, seconds=0.2, config=share("config", "sim.yaml"))) == 1
    output = capsys.readouterr().out
    assert "ZeroDivisionError: of all things" in output and "scheduling" in output


def test_without_a_running_system_nothing_fails_and_it_says_what_to_start(tmp_path: Path) -> None:
    config = tmp_path / "robot.yaml"
    config.write_text(yaml.safe_dump({"arm": {"preset": "sawyer"}, "camera": {"source": "topic"}}))
    done = doctor("--seconds", 0.5, "--config", config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("not running") >= 6 and "start the arm's" in done.stdout


def test_a_running_simulation_is_well(tmp_path: Path) -> None:
    system = subprocess.Popen(
        [sys.executable, "-m", "rig_robot.cli", "sim", "--goals", "-1"],
        stdout=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if name not in DDS_VARIABLES},
    )
    try:
        _wait_until_well()
        file = tmp_path / "found.json"
        for _ in range(3):  # on a busy machine a gap in the frames is found because it is there
            done = doctor("--sim", "--json", file)
            assert file.exists(), done.stdout + done.stderr
            found = [finding for finding in json.loads(file.read_text()) if finding["name"] not in OF_THE_MACHINE]
            assert len(found) > 18, done.stdout + done.stderr
            if all(finding["level"] == "ok" for finding in found):
                break
        else:
            pytest.fail(done.stdout)
    finally:
        system.terminate()
        system.wait(20)


def _wait_until_well() -> None:
    """Wait until each node of the simulation has told its health and the camera node says that frames pass."""
    from ros_harness import Listener

    listener = Listener()
    try:
        told = listener.hear(DiagnosticArray, "/diagnostics", 10)

        def well() -> bool:
            words = {status.name: status.message for message in told for status in message.status}
            return len(words) == 7 and words["camera"] == "frames are passed on"

        listener.until(well, "seven nodes tell of their health, and frames are passed on", 60.0)
    finally:
        listener.close()
