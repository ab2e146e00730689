"""The stand-in arm as a ROS node: joint states out, joint trajectories in, and the truth into a file.

    python -m standin.robot --ros-args -p rate:=500.0        (in benchmarks/, with STANDIN_TRUTH=FILE)

As on a robot the controller has its own real-time process, where the machine allows that; nothing of ours starts it,
stops it or watches over it.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from rig_robot.arm.kinematics import TOOL_DOWN
from rig_robot.common.message_fields import stamp_ns
from rig_robot.ros.node import RigNode
from rig_robot.ros.node_process import run
from rig_sim.world import HOME, JOINTS, SPEED_LIMITS, kinematics
from standin.arm import Arm
from standin.clock import sleep
from standin.ground_truth import ENVIRONMENT, GroundTruth, Lie
from standin.joint_trajectory import (
    JointTrajectoryController,
    Parameters,
    Point,
    Rejected,
    SaturationLimiter,
)

ACCELERATION_LIMITS = np.array([10.0, 10.0, 10.0, 10.0, 20.0, 20.0, 20.0])
"""rad/s^2, a little above what the arm node is told: a controller's own limits are the last resort."""
PATH_TOLERANCE = 0.2
"""rad; for each joint."""
STATE_RATE = 100.0
"""Joint states a second, whatever the physics' rate."""
LONGEST_DELAY = 0.1
"""What the physics is behind by more than this [s] is skipped."""
PRIORITY = 20


class StandInRobot(RigNode):
    """Controller and physics in one thread at a fixed rate; ROS in another."""

    def __init__(self) -> None:
        super().__init__("standin_robot")
        rate = self.declare("rate", 500.0, "Steps of controller and physics a second [Hz].", low=250.0, high=1000.0)
        start = self.declare("start_position", [0.6, 0.0, 0.15], "Where the tool is at first (m, base frame).")
        q = kinematics().solve(HOME, np.array(start), TOOL_DOWN)
        tolerance = self.declare("path_tolerance", PATH_TOLERANCE, "constraints.<joint>.trajectory [rad]; 0: none.")
        parameters = Parameters(
            joints=JOINTS,
            allow_partial_joints_goal=self.declare("allow_partial_joints_goal", False, "As documented."),
            allow_nonzero_velocity_at_trajectory_end=self.declare(
                "allow_nonzero_velocity_at_trajectory_end", False, "As documented."
            ),
            interpolate_from_desired_state=self.declare(
                "interpolate_from_desired_state", True, "As documented, for trajectories in many messages."
            ),
            interpolation_method=self.declare(
                "interpolation_method", "splines", "Or none.", choices=("splines", "none")
            ),
            cmd_timeout=self.declare("cmd_timeout", 0.0, "As documented [s]."),
            trajectory=dict.fromkeys(JOINTS, tolerance),
            goal=dict.fromkeys(JOINTS, self.declare("goal_tolerance", 0.0, "constraints.<joint>.goal [rad]; 0: none.")),
            goal_time=self.declare("goal_time", 0.0, "constraints.goal_time [s]; 0: never mind."),
        )
        self._dt = 1.0 / rate
        self._every = round(rate / STATE_RATE)
        self._arm = Arm(q, self._dt)
        ranges = self._arm.model.jnt_range
        self._limiter = SaturationLimiter(ranges[:, 0], ranges[:, 1], SPEED_LIMITS, ACCELERATION_LIMITS, q)
        self._controller = JointTrajectoryController(parameters, time.monotonic(), q)
        self._lock = threading.Lock()  # guards the controller
        self._truth = GroundTruth.create(Path(os.environ[ENVIRONMENT]), len(JOINTS))
        self._stopping = threading.Event()
        self._rejected = 0
        self._said = ""
        self._states = self.publisher(JointState, "joint_states", QoSProfile(depth=1))
        self.subscribe(JointTrajectory, "joint_trajectory_controller/joint_trajectory", self._take, QoSProfile(depth=1))
        self.create_timer(0.1, self._tell)
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(2.0)

    def _take(self, message: JointTrajectory) -> None:
        points = [
            Point(
                stamp_ns(point.time_from_start) / 1e9,
                point.positions,
                point.velocities or None,
                point.accelerations or None,
            )
            for point in message.points
        ]
        stamp = stamp_ns(message.header.stamp)
        now = time.monotonic()
        # From here on only the steady clock counts: a clock that jumps does not touch what is followed.
        begin = now + 1e-9 * (stamp - self.get_clock().now().nanoseconds) if stamp else None
        try:
            with self._lock:
                self._controller.take(message.joint_names, points, now, begin)
        except Rejected as why:
            self._rejected += 1
            self.get_logger().error(f"trajectory rejected: {why}", throttle_duration_sec=1.0)

    def _live(self) -> None:
        arm, states = self._arm, JointState(name=list(JOINTS))
        due, count = time.monotonic(), 0
        while not self._stopping.is_set():
            count += 1
            due += self._dt
            late = time.monotonic() - due
            if late < 0:
                sleep(-late)
            elif late > LONGEST_DELAY:
                due += late
            with self._lock:
                desired = self._controller.update(due, arm.positions, arm.velocities)
            # Position-controlled drives: they get positions, and feed forward the speed at which these change.
            command = self._limiter.enforce(desired.position, self._dt)
            arm.advance(command, self._limiter.velocity)
            position, velocity = arm.positions, arm.velocities
            self._truth.append(due, arm.tool, position, velocity, self._limiter.velocity)
            if count % self._every == 0 and self._truth.sends_joint_states:
                states.header.stamp = self.get_clock().now().to_msg()
                if (told := self._told(position)) is not None:
                    states.position, states.velocity = told.tolist(), velocity.tolist()
                self._states.publish(states)

    def _told(self, position: np.ndarray) -> np.ndarray | None:
        """Return the joint positions [n] rad that joint states tell; None: those of the last time."""
        match self._truth.lie:
            case Lie.ZEROS:
                return np.zeros_like(position)
            case Lie.NINE:
                return np.full_like(position, 9.0)
            case Lie.OFF:
                return position + 0.3 * np.eye(len(position))[2]
            case Lie.NEAR:
                return position + 0.2 * np.eye(len(position))[2]
            case Lie.FROZEN:
                return None
        return position

    def _tell(self) -> None:
        if self._controller.note != self._said:
            self._said = self._controller.note
            self.get_logger().warning(self._said)

    def health(self) -> tuple[bytes, str, dict[str, object]]:
        level, text, values = super().health()
        return level, text, {**values, "rejected": self._rejected, "clamped": self._limiter.clamped, "note": self._said}


def main() -> None:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except PermissionError:
        print("standin_robot: no real-time priority here: a busy machine will disturb the arm itself", flush=True)
    run(StandInRobot)


if __name__ == "__main__":
    main()
