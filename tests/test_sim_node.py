"""The simulated robot as a process, over real DDS."""

import signal
import time

import numpy as np
import pytest
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import PoseStamped
from ros_harness import node_process
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState, TimeReference
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from rig_robot.common.message_fields import stamp_s
from rig_robot.ros.qos import COMMAND, OBSERVATION
from rig_robot.vision.observation import CENTRE_SQUARE, prepare

MODULE = "rig_sim.robot_node"
TOPIC = "joint_trajectory_controller/joint_trajectory"
NAMES = [f"right_j{i}" for i in range(7)]


@pytest.fixture(scope="module")
def sim():
    with node_process(MODULE) as process:
        yield process


def trajectory(names, positions, seconds):
    point = JointTrajectoryPoint(positions=[float(q) for q in positions])
    point.time_from_start = Duration(sec=int(seconds), nanosec=round(1e9 * (seconds % 1)))
    return JointTrajectory(joint_names=names, points=[point])


@pytest.fixture
def arm(sim, listener):
    """Receives the simulated arm's messages, and sends it trajectories."""
    states = listener.hear(JointState, "joint_states", COMMAND)
    publisher = listener.node.create_publisher(JointTrajectory, TOPIC, COMMAND)
    listener.until_heard(TOPIC, publishers=1, subscribers=1)
    listener.until(lambda: states, "joint states arrive")
    return states, publisher


def at(states):
    return np.array(states[-1].position)


def test_joints_named_in_another_order_are_obeyed_and_the_end_is_held(arm, listener):
    states, publisher = arm
    goal = at(states) + np.linspace(-0.1, 0.1, 7)
    publisher.publish(trajectory(NAMES[::-1], goal[::-1], 0.3))
    listener.until(lambda: np.abs(at(states) - goal).max() < 0.003, "the arm has arrived")
    listener.spin(1.0)
    assert np.abs(at(states) - goal).max() < 0.003
    assert np.abs(states[-1].velocity).max() < 0.02


@pytest.mark.parametrize(
    ("names", "positions", "why"),
    [
        (NAMES[:6], [0.0] * 6, "joint_names must be"),
        (NAMES, [0.0, float("nan"), 0.0, 0.0, 0.0, 0.0, 0.0], "finite"),
        (NAMES, [4.0] * 7, "right_j0 must stay in"),
        (NAMES, [0.0] * 3, "7 positions, not 3"),
    ],
)
def test_a_trajectory_that_is_partial_or_no_number_or_out_of_range_is_refused_aloud(
    arm, sim, listener, names, positions, why
):
    states, publisher = arm
    before = at(states)
    listener.spin(1.1)  # refusals are logged once a second at most
    publisher.publish(trajectory(names, positions, 0.1))
    listener.until(lambda: why in sim.output(), f"a warning: {why}")
    listener.spin(0.3)
    assert np.abs(at(states) - before).max() < 0.005
    assert sim.running()


def test_states_frames_and_truth_keep_coming_and_belong_together(sim, listener):
    states = listener.hear(JointState, "joint_states", COMMAND)
    poses = listener.hear(PoseStamped, "sim/tool_pose", COMMAND)
    images = listener.hear(Image, "camera/image_raw", OBSERVATION)
    infos = listener.hear(CameraInfo, "camera/camera_info", OBSERVATION)
    references = listener.hear(TimeReference, "sim/camera/time_reference", OBSERVATION)
    listener.until(lambda: len(images) >= 20 and infos and references, "twenty frames arrive")

    def rate(messages):
        stamps = [stamp_s(message.header.stamp) for message in messages]
        assert (np.diff(stamps) > 0).all()
        return 1 / np.median(np.diff(stamps))

    # Loose, for busy machines: what is meant is 100, 100 and 30.
    assert 60 < rate(states) < 130
    assert 60 < rate(poses) < 130
    assert 15 < rate(images) < 40
    assert list(states[-1].name) == NAMES
    assert len(states[-1].velocity) == 7
    image = images[-1]
    assert (image.width, image.height, image.encoding, image.step) == (640, 480, "rgb8", 1920)
    assert image.header.frame_id == "camera_optical_frame"
    assert (infos[-1].width, infos[-1].height) == (640, 480)
    assert infos[-1].k[0] == pytest.approx(240 / np.tan(np.radians(31) / 2))
    captured, published = stamp_s(references[-1].header.stamp), stamp_s(references[-1].time_ref)
    assert 0 < published - captured < 1


@pytest.mark.parametrize(("axes", "scene"), [("xy", "plain"), ("xyz", "plain"), ("xy", "shifted")])
def test_its_camera_shows_what_training_sees_and_its_truth_is_where_the_tool_is(listener, axes, scene):
    import gymnasium

    import rig_sim  # noqa: F401  (registers the environments)

    names = ("joint_states", "camera/image_raw", "sim/tool_pose")
    joints, image, pose = (f"{axes}/{scene}/{name}" for name in names)
    remap = dict(zip(names, (joints, image, pose), strict=True)) | {"__node": "another"}
    with node_process(MODULE, {"axes": axes, "scene": scene}, remap):
        poses = listener.hear(PoseStamped, pose, COMMAND)
        images = listener.hear(Image, image, OBSERVATION)
        states = listener.hear(JointState, joints, COMMAND)
        listener.until(lambda: poses and images and states, "pose, frame and state arrive")
    point = poses[-1].pose.position
    env = gymnasium.make(f"RigSawyerReach{axes.upper()}-v0", scene=scene).unwrapped
    env.world.place(at(states))
    np.testing.assert_allclose([point.x, point.y, point.z], env.world.tool_position, atol=1e-3)
    frame = np.frombuffer(images[-1].data, np.uint8).reshape(480, 640, 3)
    seen = prepare(frame, CENTRE_SQUARE, 48).astype(float)
    expected = prepare(env.render_frame(), CENTRE_SQUARE, 48)
    assert np.sqrt(((seen - expected) ** 2).mean()) < 1.0
    env.close()


def test_faster_than_real_time_it_stamps_with_the_clock_it_publishes(listener):
    remap = {name: f"fast/{name}" for name in ("joint_states", "camera/image_raw", "sim/tool_pose")}
    remap |= {"/clock": "fast/clock", "__node": "fast"}
    with node_process(MODULE, {"speed": 3.0, "publish_clock": True}, remap):
        clocks = listener.hear(Clock, "fast/clock", COMMAND)
        states = listener.hear(JointState, "fast/joint_states", COMMAND)
        listener.until(lambda: clocks and states, "time goes on")

        def speed() -> float:
            began, begin = time.monotonic(), stamp_s(states[-1].header.stamp)
            listener.spin(0.5)
            return (stamp_s(states[-1].header.stamp) - begin) / (time.monotonic() - began)

        listener.until(lambda: speed() > 1.5, "simulated time goes faster; 3 times as fast on a quiet machine")

        def ticks() -> set[int]:
            return {round(100 * stamp_s(clock.clock)) for clock in clocks}

        last = round(100 * stamp_s(states[-1].header.stamp))
        listener.until(lambda: last in ticks(), "the state's stamp is one that the clock told")


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"speed": 2.0}, "publish_clock"),
        ({"start_position": [0.6, 0.0]}, "start_position must be three finite numbers"),
        ({"start_position": [3.0, 0.0, 0.2]}, "cannot reach"),
        ({"camera_rate": -1.0}, "camera_rate"),
    ],
)
def test_parameters_that_cannot_be_end_it_with_one_line_that_says_why(parameters, why):
    with node_process(MODULE, parameters, {"__node": "wrong"}) as process:
        assert process.wait() == 2
        assert why in process.output()
        assert "Traceback" not in process.output()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_order_when_asked_to(listener, how):
    with node_process(MODULE, remappings={"joint_states": "ending/joint_states", "__node": "ending"}) as process:
        states = listener.hear(JointState, "ending/joint_states", COMMAND)
        listener.until(lambda: states, "it runs")
        process.process.send_signal(how)
        assert process.wait() == 0
