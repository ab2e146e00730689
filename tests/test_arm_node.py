"""The arm node before the simulated arm, as processes over DDS: what others send cannot make it leave its bounds."""

import math
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistStamped
from ros_harness import NO_CAMERA, Listener, NodeProcess, node_process
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

from rig_robot.bringup.parameter_files import read_parameters
from rig_robot.bringup.systems import NODES
from rig_robot.common.package_files import share
from rig_robot.ros.qos import COMMAND, LATCHED, STATE
from rig_sim.world import FIXED_HEIGHT, JOINTS, SPEED_LIMITS, WORKSPACE_HIGH, WORKSPACE_LOW, kinematics

PARAMETERS = read_parameters(share("config", "sim.yaml"), NODES)["arm"]


class Bench:
    """The arm node and the simulated robot, and the messages that they publish."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.tool = listener.hear(PoseStamped, "sim/tool_pose", STATE)
        self.commands = listener.hear(JointTrajectory, "joint_trajectory_controller/joint_trajectory", COMMAND)
        self.statuses = listener.hear(DiagnosticStatus, "rig/arm/status", LATCHED)
        self.poses = listener.hear(PoseStamped, "rig/ee_pose", STATE)
        self.twists = listener.node.create_publisher(TwistStamped, "rig/policy/twist", COMMAND)
        self.estop = listener.node.create_publisher(Bool, "rig/estop", COMMAND)
        listener.until_heard("rig/policy/twist", publishers=1, subscribers=1)
        listener.wait_until_discovered_by("arm")
        listener.until(lambda: self.tool and self.poses, "tool and end-effector pose")

    def arm(self) -> None:
        self.call(Trigger, "arm/reset_estop")
        armed = self.call(SetBool, "arm/set_armed", SetBool.Request(data=True))
        assert armed.success, armed.message

    def disarm(self) -> None:
        self.call(SetBool, "arm/set_armed", SetBool.Request(data=False))

    def call(self, kind: type, service: str, request: object = None) -> object:
        return self.listener.call(kind, service, request)

    def state(self) -> str:
        return next(item.value for item in self.statuses[-1].values if item.key == "state")

    def reason(self) -> str:
        return next(item.value for item in self.statuses[-1].values if item.key == "reason")

    def rests_on(self) -> int:
        """Return the stamp of the frame that the last twist rests on [ns]."""
        return int(next(item.value for item in self.statuses[-1].values if item.key == "rests_on"))

    def send(
        self,
        x: float,
        y: float,
        z: float = 0.0,
        *,
        frame: str = "base",
        late: float = 0.0,
        stamp: int | None = None,
        turn: float = 0.0,
    ) -> int:
        """Send a twist; return the stamp of the frame that it rests on [ns]: `stamp`, or so `late` [s]."""
        message = TwistStamped()
        if stamp is None:
            stamp = self.listener.node.get_clock().now().nanoseconds - int(late * 1e9)
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
        message.header.frame_id = frame
        message.twist.linear.x, message.twist.linear.y, message.twist.linear.z = x, y, z
        message.twist.angular.z = turn
        self.twists.publish(message)
        return stamp

    def drive(self, seconds: float, *velocity: float, **how: object) -> None:
        """Send a twist every 0.1 s."""
        for _ in range(round(seconds / 0.1)):
            self.send(*velocity, **how)  # type: ignore[arg-type]
            self.listener.spin(0.1)

    def drive_until(self, condition: Callable[[], bool], what: str, *velocity: float) -> None:
        """Drive until `condition` holds: where the machine stands still for a moment, the arm waits."""
        end = time.monotonic() + 30.0
        while not condition():
            assert time.monotonic() < end, f"after 30 s still not: {what}"
            self.drive(0.1, *velocity)

    def place(self) -> np.ndarray:
        self.tool.clear()
        self.listener.until(lambda: self.tool, "tool pose")
        return _position(self.tool[-1])

    def moved_by(self, seconds: float, *velocity: float, **how: object) -> float:
        before = self.place()
        self.drive(seconds, *velocity, **how)
        return float(np.linalg.norm(self.place() - before))


def _position(pose: PoseStamped) -> np.ndarray:
    return np.array([pose.pose.position.x, pose.pose.position.y, pose.pose.position.z])


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    listener = Listener("bench")
    with node_process("rig_sim.robot_node", NO_CAMERA), node_process("rig_robot.nodes.arm", PARAMETERS):
        yield Bench(listener)
    listener.close()


@pytest.fixture
def armed(bench: Bench) -> Iterator[Bench]:
    bench.arm()
    bench.drive(0.5, 0.0, 0.0)  # past the ramp
    yield bench
    bench.disarm()
    bench.listener.spin(0.2)


def test_nothing_moves_before_arming_whatever_is_sent(bench: Bench) -> None:
    bench.commands.clear()
    assert bench.moved_by(0.5, 0.2, 0.0) < 1e-3
    assert bench.commands == [] and bench.state() == "disarmed"


def test_a_twist_moves_the_tool_as_far_as_it_says(armed: Bench) -> None:
    for direction in (1, -1) * 3:  # again where the machine stood still: the arm waited for the next twist
        before = armed.place()
        armed.drive(0.5, 0.0, 0.1 * direction)
        armed.listener.spin(0.5)
        moved = armed.place() - before
        assert abs(moved[1]) < 0.062 and abs(moved[0]) < 0.004 and abs(moved[2]) < 0.004
        if moved[1] * direction > 0.038:
            return
    raise AssertionError(f"the tool moves by {moved} m")


def test_every_command_ends_at_rest_by_itself(armed: Bench) -> None:
    armed.commands.clear()
    armed.drive_until(lambda: len(armed.commands) > 25, "25 commands", 0.15, 0.0)
    for command in armed.commands:
        first, last = command.points[0], command.points[-1]
        times = [point.time_from_start.sec + 1e-9 * point.time_from_start.nanosec for point in (first, last)]
        assert tuple(command.joint_names) == JOINTS and command.header.stamp.sec == 0 and len(command.points) <= 2
        assert len(first.positions) == len(first.velocities) == len(last.velocities) == 7
        assert 0 < times[0] <= 2 / 100 + 1e-9 and times[1] < 0.25
        assert (np.abs(first.velocities) <= SPEED_LIMITS).all() and not any(last.velocities)
    assert any(len(command.points) == 2 for command in armed.commands), "an arm in motion must be braked, not stopped"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_twist_that_is_not_finite_moves_nothing(armed: Bench, bad: float) -> None:
    assert armed.moved_by(0.5, bad, 0.2) < 1e-3
    assert armed.moved_by(0.5, 0.2, 0.2, turn=bad) < 1e-3
    # Away from where the tests before it went: near a face, the arm is slowed.
    before = armed.place()
    armed.drive_until(lambda: np.linalg.norm(armed.place() - before) > 0.01, "the arm goes on afterwards", -0.05, 0.0)


@pytest.mark.parametrize("direction", [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1), (1, -1, 1)])
def test_ten_metres_a_second_do_not_leave_the_box_or_the_limits(armed: Bench, direction: tuple) -> None:
    arm = kinematics()
    armed.tool.clear()
    armed.commands.clear()
    armed.drive(2.0, *(10.0 * np.array(direction)))
    places = np.array([_position(pose) for pose in armed.tool])
    assert (places >= WORKSPACE_LOW).all() and (places <= WORKSPACE_HIGH).all()
    told = np.array([arm.forward(command.points[0].positions) for command in armed.commands])
    assert (told >= WORKSPACE_LOW).all() and (told <= WORKSPACE_HIGH).all()
    faces = np.where(np.array(direction) > 0, WORKSPACE_HIGH, WORKSPACE_LOW)[np.array(direction) != 0]
    end = places[-1][np.array(direction) != 0]
    assert np.abs(end - faces).min() < 0.01 or np.linalg.norm(places[-1] - places[0]) > 0.005, "it must have tried"


FALSE_JOINTS = {
    "zeros": {"position": [0.0] * 7},
    "outside the ranges": {"position": [9.0] * 7},
    "another order": {"name": JOINTS[::-1], "position": [0.0, -1.2, 0.1, 2.0, 0.0, 0.8, 3.3]},
}


@pytest.mark.parametrize("kind", FALSE_JOINTS)
def test_false_joint_states_of_a_second_publisher_disarm_and_move_the_arm_no_further_than_it_brakes(
    armed: Bench, kind: str
) -> None:
    publisher = armed.listener.node.create_publisher(JointState, "joint_states", COMMAND)
    message = JointState(**({"name": list(JOINTS)} | FALSE_JOINTS[kind]))
    armed.listener.until_heard("joint_states", publishers=2, subscribers=1)
    armed.listener.wait_until_discovered_by("arm")
    armed.drive(0.5, 0.1, 0.0)
    before = armed.place()
    armed.commands.clear()

    def false_message_disarms() -> bool:
        # One message is kept for the arm: on a busy computer a true one may replace it before it is read.
        message.header.stamp = armed.listener.node.get_clock().now().to_msg()
        publisher.publish(message)
        armed.listener.spin(0.005)
        return armed.state() == "disarmed"

    armed.listener.until(false_message_disarms, "the arm is disarmed")
    assert "joint_states" in armed.reason()
    armed.listener.spin(0.3)
    assert np.linalg.norm(armed.place() - before) < 0.03
    points = [command.points[0] for command in armed.commands]
    assert all((np.abs(point.velocities) <= SPEED_LIMITS).all() for point in points)
    jumps = np.abs(np.diff([point.positions for point in points], axis=0))
    assert (jumps <= SPEED_LIMITS * 0.1).all()
    armed.listener.node.destroy_publisher(publisher)
    armed.listener.spin(1.2)  # no doubt is left


def test_what_joint_states_say_beside_the_positions_does_not_matter(bench: Bench) -> None:
    """Velocities that are no numbers (drivers do that), a gripper in the same message, joints in another order."""
    now = bench.listener.hear(JointState, "joint_states", STATE)
    bench.listener.until(lambda: now, "joint states")
    pairs = [*zip(now[-1].name, now[-1].position, strict=True), ("finger", 0.04)][::-1]
    message = JointState(name=[name for name, _ in pairs], position=[place for _, place in pairs])
    message.velocity = message.effort = [math.nan] * len(pairs)
    publisher = bench.listener.node.create_publisher(JointState, "joint_states", COMMAND)
    bench.listener.until_heard("joint_states", publishers=2, subscribers=1)
    bench.listener.wait_until_discovered_by("arm")
    bench.arm()
    for _ in range(20):
        message.header.stamp = bench.listener.node.get_clock().now().to_msg()
        publisher.publish(message)
        bench.listener.spin(0.01)
    bench.listener.spin(0.3)
    assert bench.state() == "waiting"
    bench.listener.node.destroy_publisher(publisher)
    bench.disarm()


def test_when_the_commands_stop_the_arm_stops_and_holds(armed: Bench) -> None:
    armed.drive(0.5, -0.1, 0.05)
    armed.listener.spin(0.5)
    assert armed.moved_by(0.0) + float(np.linalg.norm(armed.place() - armed.place())) < 1e-3
    before = armed.place()
    armed.listener.spin(1.0)
    assert np.linalg.norm(armed.place() - before) < 1e-3
    assert armed.state() == "waiting"


def test_a_stale_or_misplaced_twist_moves_nothing(armed: Bench) -> None:
    assert armed.moved_by(0.5, 0.2, 0.0, late=1.0) < 1e-3
    assert armed.moved_by(0.5, 0.2, 0.0, late=-1.0) < 1e-3, "a stamp in the future"
    assert armed.moved_by(0.5, 0.2, 0.0, frame="camera") < 1e-3


def test_a_twist_that_rests_on_an_older_frame_does_not_replace_a_newer_ones(armed: Bench) -> None:
    before = armed.place()
    for _ in range(5):
        newer = armed.send(0.0, 0.0)
        # One twist is kept for the arm: an older one may well replace one that it has not read yet.
        armed.listener.until(lambda newer=newer: armed.rests_on() == newer, "the arm has heard the newer one")
        armed.send(0.0, 0.2, stamp=newer - 20_000_000)
        armed.listener.spin(0.1)
    assert np.linalg.norm(armed.place() - before) < 1e-3


def test_the_emergency_stop_stops_latches_and_leaves_the_arm_disarmed(armed: Bench) -> None:
    armed.drive(0.3, 0.05, 0.1)
    armed.estop.publish(Bool(data=True))
    armed.listener.until(lambda: armed.state() == "estopped", "the emergency stop is latched", 2.0)
    armed.listener.spin(0.2)
    assert armed.moved_by(0.5, 0.2, 0.0) < 1e-3
    armed.estop.publish(Bool(data=False))
    armed.listener.spin(0.2)
    assert armed.state() == "estopped", "False must be ignored"
    refused = armed.call(SetBool, "arm/set_armed", SetBool.Request(data=True))
    assert not refused.success and "reset" in refused.message
    assert armed.call(Trigger, "arm/reset_estop").success
    assert armed.moved_by(0.5, 0.2, 0.0) < 1e-3 and armed.state() == "disarmed"


def test_a_latched_stop_button_is_heard_too(armed: Bench) -> None:
    button = armed.listener.node.create_publisher(Bool, "rig/estop", LATCHED)
    button.publish(Bool(data=True))
    armed.listener.until(lambda: armed.state() == "estopped", "the latched stop has been heard")
    armed.listener.node.destroy_publisher(button)


def test_the_status_names_the_frame_that_a_command_rests_on(armed: Bench) -> None:
    stamp = armed.send(0.0, 0.0)
    armed.listener.until(lambda: armed.rests_on() == stamp, "the status names the frame")


def test_the_end_effector_pose_is_the_tools(bench: Bench) -> None:
    bench.poses.clear()
    place = bench.place()
    bench.listener.until(lambda: bench.poses, "end-effector pose")
    np.testing.assert_allclose(_position(bench.poses[-1]), place, atol=2e-3)
    assert bench.poses[-1].header.frame_id == "base" and place[2] >= FIXED_HEIGHT - 0.05


def test_strange_joint_states_do_not_disturb_an_armed_arm(armed: Bench) -> None:
    other = armed.listener.node.create_publisher(JointState, "joint_states", COMMAND)
    armed.listener.until_heard("joint_states", publishers=2)
    stamp = armed.listener.node.get_clock().now().to_msg()
    for names, positions in ((["gripper"], [0.1]), (list(JOINTS), [0.0] * 3), (list(JOINTS), [math.nan] * 7)):
        message = JointState(name=names, position=positions)
        message.header.stamp = stamp
        other.publish(message)
    armed.listener.spin(0.3)
    armed.listener.node.destroy_publisher(other)
    assert armed.state() in ("waiting", "moving")


def test_a_killed_arm_node_leaves_the_arm_still_within_half_a_second(bench: Bench, listener: Listener) -> None:
    with node_process("rig_robot.nodes.arm", PARAMETERS, {"__node": "arm2", "rig/policy/twist": "twist2"}) as second:
        _kill_while_driving(bench, listener, second)


def _kill_while_driving(bench: Bench, listener: Listener, second: NodeProcess) -> None:
    twists = listener.node.create_publisher(TwistStamped, "twist2", COMMAND)
    listener.until_heard("twist2", publishers=1, subscribers=1)
    # It may answer before it has heard the joints.
    listener.until(lambda: listener.call(SetBool, "arm2/arm", SetBool.Request(data=True)).success, "arm2 is armed")
    for step in range(10):
        message = TwistStamped()
        message.header.frame_id = "base"
        message.header.stamp = listener.node.get_clock().now().to_msg()
        message.twist.linear.y = 0.1 if bench.place()[1] < 0 else -0.1
        twists.publish(message)
        bench.listener.spin(0.1)
        if step == 8:
            second.process.kill()
            second.process.wait()
    time.sleep(0.4)
    before = bench.place()
    bench.listener.spin(0.5)
    assert np.linalg.norm(bench.place() - before) < 1e-3


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"workspace_low": None}, "workspace_low"),
        ({"workspace_low": [0.9, 0.0, 0.0]}, "workspace"),
        ({"joint_speed": [1.0, 1.0]}, "joint_speed"),
        ({"tool_speed": -1.0}, "tool_speed"),
        ({"description": "/no/such.xml"}, "/no/such.xml"),
        ({"interface": "telepathy"}, "interface"),
    ],
)
def test_an_arm_without_proper_bounds_does_not_start_and_says_which(change: dict, named: str) -> None:
    parameters = {name: value for name, value in (PARAMETERS | change).items() if value is not None}
    with node_process("rig_robot.nodes.arm", parameters) as arm:
        assert arm.wait() == 2
        assert named in arm.output() and "Traceback" not in arm.output()
