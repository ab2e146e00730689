"""Practice of pushing: what the robot does.

What would be broken: a robot that acts by a policy that has learned nothing, or pushes on while the object is gone.
"""

import contextlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.qos import QoSProfile
from ros_harness import Listener, node_process
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from untrained_to_push import CENTRE, untrained

from rig_robot.arm.kinematics import TOOL_DOWN
from rig_robot.bringup.options import SHIPPED_PUSHING
from rig_robot.checkpoints.checkpoint import activate, read_config
from rig_robot.common.message_fields import values
from rig_robot.common.package_files import locate
from rig_robot.inference.latent import Latent
from rig_robot.inference.object_memory import UNSURE
from rig_robot.messages import latents as latent
from rig_robot.messages.diagnostics import OK, diagnostic
from rig_robot.ros.qos import COMMAND, LATCHED, OBSERVATION, STATE
from rig_sim.push_world import PUCK_AREA, TOOL_HIGH, TOOL_LOW
from rig_sim.world import HOME, JOINTS, kinematics

COMMANDED = "joint_trajectory_controller/joint_trajectory"


class Robot:
    """Acts as encoder, arm and trainer of a policy node."""

    def __init__(self, listener: Listener, vae_id: str) -> None:
        self.listener, self.vae_id, self.tool = listener, vae_id, np.zeros(2)
        self.twists = listener.hear(TwistStamped, "rig/policy/twist", QoSProfile(depth=50))
        self.episodes = listener.hear(DiagnosticStatus, "rig/episode", QoSProfile(depth=50))
        self.health = listener.hear(DiagnosticArray, "/diagnostics", 10)
        self.latents = listener.node.create_publisher(Image, "rig/latent", OBSERVATION)
        self.poses = listener.node.create_publisher(PoseStamped, "rig/ee_pose", STATE)
        self.progress = listener.node.create_publisher(DiagnosticStatus, "rig/trainer/progress", LATCHED)
        listener.until(self.latents.get_subscription_count, "the policy listens")
        listener.until(self.progress.get_subscription_count, "the policy listens to the trainer")

    def wish(self, explore: str) -> None:
        self.progress.publish(diagnostic("trainer", OK, "a test", {"explore": explore}))
        self.listener.spin(0.2)

    def see(self, seconds: float, place: tuple[float, float] | None, where_the_tool_is: bool = True) -> None:
        """Publish latents at 30 Hz; the tool goes where the twists take it, unless only its pose tells that."""
        for _ in range(round(30 * seconds)):
            stamp = self.listener.node.get_clock().now().to_msg()
            pose = PoseStamped()
            pose.header.stamp = stamp
            pose.pose.position.x, pose.pose.position.y = (CENTRE + 0.02 * self.tool).tolist()
            self.poses.publish(pose)
            seen = self.tool if where_the_tool_is else np.full(2, 5.0)
            log_variance = np.full(4, -8.0, np.float32)
            if place is None:
                log_variance[2:] = UNSURE
            mean = np.array([*seen, *(place or (0.0, 0.0))], np.float32)
            self.latents.publish(latent.to_message(Latent(self.vae_id, mean, log_variance), stamp))
            before = len(self.twists)
            self.listener.spin(0.033)
            for twist in self.twists[before:]:
                moved = np.array([twist.twist.linear.x, twist.twist.linear.y]) / 0.2
                self.tool = np.clip(self.tool + moved, (-9, -12), (9, 12))

    def actions(self) -> np.ndarray:
        return np.array([[twist.twist.linear.x, twist.twist.linear.y] for twist in self.twists]) / 0.2

    def says(self, text: str) -> bool:
        return any(text in status.message for array in self.health for status in array.status)


@contextlib.contextmanager
def watching(output: Path) -> Iterator[Path]:
    """Run `rig watch`, and return the file of what it prints."""
    with output.open("w") as file:
        command = [sys.executable, "-m", "rig_robot.cli", "watch"]
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        try:
            yield output
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0, output.read_text()


def straight(actions: np.ndarray) -> float:
    """Return the share of actions that go on in the direction of the one before."""
    angles = np.arctan2(*actions.T)
    turned = np.abs(np.angle(np.exp(1j * np.diff(angles))))
    return float((turned < 0.6).mean())


def test_an_untrained_robot_explores_by_straight_motions_and_waits_for_its_trainer(
    tmp_path: Path, listener: Listener
) -> None:
    activate(untrained(tmp_path))
    with node_process("rig_robot.nodes.policy", {"checkpoint": str(tmp_path), "episode_steps": 1000}):
        robot = Robot(listener, read_config(tmp_path).vae_id)
        assert listener.set_parameter("policy", "mode", "practice").successful
        listener.until(robot.poses.get_subscription_count, "the policy listens to the tool's pose")
        robot.see(12.0, (0.0, 0.0), where_the_tool_is=False)
        actions = robot.actions()
        assert len(actions) > 60 and straight(actions) > 0.75 and np.abs(actions).max() <= 1
        assert values(robot.episodes[0])["mode"] == "explore"


def test_a_robot_whose_checkpoint_only_sees_seeks_contact_and_does_not_act_by_it(
    tmp_path: Path, listener: Listener
) -> None:
    source = locate(SHIPPED_PUSHING)
    shutil.copytree(source, tmp_path / "eyes")
    config = (tmp_path / "eyes" / "config.json").read_text()
    (tmp_path / "eyes" / "config.json").write_text(config.replace('"training": {', '"training": {"acts": false,'))
    activate(tmp_path / "eyes")
    with node_process("rig_robot.nodes.policy", {"checkpoint": str(tmp_path), "episode_steps": 1000}):
        robot = Robot(listener, read_config(tmp_path).vae_id)
        robot.wish("wanted")
        assert listener.set_parameter("policy", "mode", "practice").successful
        object_, nearest = np.array([3.0, -4.0]), []
        for _ in range(45):
            robot.see(1 / 3, (3.0, -4.0))
            nearest.append(float(np.linalg.norm(robot.tool - object_)))
        assert values(robot.episodes[0])["mode"] == "explore" and straight(robot.actions()) > 0.7
        assert np.mean(np.array(nearest) < 4.0) > 0.15, "of motions anywhere one in twenty comes so near"

        assert listener.set_parameter("policy", "mode", "idle").successful
        robot.wish("enough")
        assert listener.set_parameter("policy", "mode", "practice").successful
        robot.twists.clear()
        robot.see(1.5, (3.0, -4.0))
        assert not robot.twists, "it waits until the trainer has learned to push"
        listener.until(lambda: robot.says("waits until the trainer has learned"), "it says so")


def test_practice_waits_while_the_object_is_gone_says_so_and_goes_on_when_it_is_back(
    tmp_path: Path, listener: Listener
) -> None:
    shutil.copytree(locate(SHIPPED_PUSHING), tmp_path / "pushes")
    activate(tmp_path / "pushes")
    parameters = {"checkpoint": str(tmp_path), "episode_steps": 1000}
    with node_process("rig_robot.nodes.policy", parameters) as process, watching(tmp_path / "watched") as watched:
        robot = Robot(listener, read_config(tmp_path).vae_id)
        robot.wish("wanted")
        assert listener.set_parameter("policy", "mode", "practice").successful
        robot.see(1.0, (0.0, 0.0))
        assert robot.twists
        robot.see(2.0, (9.5, 0.0))
        ended = values(robot.episodes[-1])
        assert ended["event"] == "end" and "the object is gone: it is outside" in ended["why"]
        robot.twists.clear()
        robot.see(1.0, (9.5, 0.0))
        assert not robot.twists, "nothing is commanded: the arm holds"
        listener.until(lambda: robot.says("practice: waits, since the object is gone"), "it says so in /diagnostics")
        assert "put it back onto the table" in process.output()
        listener.until(lambda: "practice: waits, since the object is gone" in watched.read_text(), "rig watch says so")

        robot.see(2.0, (1.0, 1.0))
        assert robot.twists and values(robot.episodes[-1])["event"] == "start"
        assert "the object is back: practice goes on" in process.output()
        listener.until(lambda: "policy    practice: explore" in watched.read_text(), "rig watch says that it goes on")

        robot.see(2.0, (9.5, 0.0))
        assert listener.set_parameter("policy", "mode", "explore").successful
        robot.twists.clear()
        robot.see(1.0, (9.5, 0.0))
        assert robot.twists, "a person who asks for exploration gets it"


def test_a_puck_that_nobody_puts_back_stays_away_until_the_service_is_called(listener: Listener) -> None:
    with node_process("rig_sim.robot_node", {"task": "push", "put_back_after": -1.0}) as process:
        pucks = listener.hear(PoseStamped, "sim/object_pose", COMMAND)
        commands = listener.node.create_publisher(JointTrajectory, COMMANDED, COMMAND)
        listener.until_heard(COMMANDED, publishers=1, subscribers=1)
        listener.until(lambda: pucks, "the puck's pose")

        def puck() -> np.ndarray:
            return np.array([pucks[-1].pose.position.x, pucks[-1].pose.position.y])

        def move(y: float, seconds: float) -> None:
            """Move the peg to where the puck is along x."""
            joints = kinematics().solve(HOME, [puck()[0], y, TOOL_LOW[2]], TOOL_DOWN)
            time_from_start = Duration(sec=int(seconds), nanosec=round(1e9 * (seconds % 1)))
            point = JointTrajectoryPoint(positions=joints.tolist(), time_from_start=time_from_start)
            commands.publish(JointTrajectory(joint_names=list(JOINTS), points=[point]))
            listener.spin(seconds + 0.1)

        for _ in range(3):  # the way to behind the puck may move it
            move(TOOL_LOW[1], 2.0)
            for y in np.arange(TOOL_LOW[1], TOOL_HIGH[1], 0.02):
                move(y, 0.2)
            if not PUCK_AREA.has(puck()):
                break
        listener.spin(2.0)
        assert not PUCK_AREA.has(puck()) and "the puck has left its area" in process.output()
        assert listener.call(Trigger, "sim/put_back").success
        listener.until(lambda: PUCK_AREA.has(puck()), "it is in its area again")
