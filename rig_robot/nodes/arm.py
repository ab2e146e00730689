"""The arm node: the one place that moves anything. Twists come in, filtered joint trajectories go out."""

from __future__ import annotations

import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.duration import Duration
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Header
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from rig_robot.freshness import Arrival, ClockJump, FromTheFuture
from rig_robot.learning.checkpoint import ActionEntry, CheckpointConfig, read_config
from rig_robot.resources import locate
from rig_robot.robot.kinematics import TOOL_DOWN, Kinematics
from rig_robot.robot.safety import JointCommand, Limits, SafetyFilter
from rig_robot.robot.supervisor import ArmState, ArmSupervisor, Refused, Timing
from rig_robot.ros import (
    COMMAND,
    ERROR,
    LATCHED,
    OK,
    STATE,
    WARN,
    BadParameter,
    RigNode,
    diagnostic,
    run,
    stamp_ns,
    stamp_s,
)

AXES = "xyz"
LEVELS = {ArmState.DISARMED: WARN, ArmState.WAITING: OK, ArmState.MOVING: OK, ArmState.ESTOPPED: ERROR}


class ArmNode(RigNode):
    """Parameters, topics and services around `ArmSupervisor`; see docs/nodes.md."""

    def __init__(self) -> None:
        super().__init__("arm")
        self._joints = tuple(
            self.declare("joints", Parameter.Type.STRING_ARRAY, "Names of the arm's joints, from the base outwards.")
        )
        self._base_frame = self.declare("base_frame", "base", "Frame of twists and of the tool's pose.")
        rate = self.declare("rate", 100.0, "Commands to the controller a second [Hz].", low=10.0, high=1000.0)
        self._period = 1.0 / rate
        self.declare("interface", "joint_trajectory", "What the controller takes.", choices=["joint_trajectory"])
        checkpoint = self.declare("checkpoint", "", "Checkpoint whose workspace and axes are used; none if empty.")
        config = read_config(locate(checkpoint)) if checkpoint else None

        self._kinematics = self._declare_kinematics()
        limits = self._declare_limits(config)
        orientation = config.action.tool_orientation if config else TOOL_DOWN
        ramp = self.declare("ramp", 1.0, "Time over which commands fade in after arming [s].", low=0.0, high=10.0)
        self._supervisor = ArmSupervisor(
            SafetyFilter(self._kinematics, limits, orientation, ramp),
            self._declare_timing(limits.max_age),
            _held(config.action) if config else {},
            ClockJump(rate=None if self.get_parameter("use_sim_time").value else 1.0),
        )
        self._order: tuple[list[str], list[int]] | None = None
        self._measured: tuple[np.ndarray, object] | None = None
        self._rests_on = 0
        self._answered = 0
        self._told: tuple[ArmState, str] | None = None

        topic = "joint_trajectory_controller/joint_trajectory"
        self._controller = self.publisher(JointTrajectory, topic, COMMAND)
        self._pose = self.publisher(PoseStamped, "rig/ee_pose", STATE)
        self._status = self.publisher(DiagnosticStatus, "rig/arm/status", LATCHED)
        self.subscribe(JointState, "joint_states", self._take_joints, STATE)
        self.subscribe(TwistStamped, "rig/policy/twist", self._take_twist, COMMAND)
        self.subscribe(Header, "rig/operator/heartbeat", self._take_heartbeat, COMMAND)
        # A stop button may be latched or not; a transient-local subscriber alone would not hear a volatile one.
        self.create_subscription(Bool, "rig/estop", self._take_estop, LATCHED)
        self.create_subscription(Bool, "rig/estop", self._take_estop, COMMAND)
        self.create_service(SetBool, "~/arm", self._serve_arm)
        self.create_service(Trigger, "~/estop", self._serve_estop)
        self.create_service(Trigger, "~/reset_estop", self._serve_reset)
        self.create_timer(self._period, self._tick)
        self.create_timer(0.5, self._publish_status)
        self._publish_status()

    def _declare_kinematics(self) -> Kinematics:
        description = self.declare(
            "description", Parameter.Type.STRING, "The robot's MJCF or URDF: a path or package://NAME/PATH."
        )
        tool = self.declare("tool", Parameter.Type.STRING, "Site or link of the description that is the tool.")
        rest = self.declare(
            "rest", Parameter.Type.DOUBLE_ARRAY, "Posture that a redundant arm leans to, a joint [rad]."
        )
        if len(rest) != len(self._joints):
            raise BadParameter(f"parameter rest = {list(rest)}: needs one number a joint, {len(self._joints)}")
        return Kinematics(locate(description), self._joints, tool, rest=list(rest))

    def _declare_limits(self, config: CheckpointConfig | None) -> Limits:
        double, doubles = Parameter.Type.DOUBLE, Parameter.Type.DOUBLE_ARRAY
        low = np.array(self.declare("workspace_low", doubles, "Lower corner of the box of the tool, base frame [m]."))
        high = np.array(self.declare("workspace_high", doubles, "Upper corner of that box [m]."))
        limits = Limits(
            low=low,
            high=high,
            tool_speed=self.declare("tool_speed", double, "Largest speed of the tool [m/s]."),
            approach_rate=self.declare(
                "approach_rate", double, "Speed towards a face of the box for each metre that it is away [1/s]."
            ),
            joint_speed=np.array(self.declare("joint_speed", doubles, "Largest speed of each joint [rad/s].")),
            joint_acceleration=np.array(
                self.declare("joint_acceleration", doubles, "Largest acceleration of each joint [rad/s^2].")
            ),
            tracking_error=self.declare(
                "tracking_error", double, "Distance of a joint from its command that disarms [rad]."
            ),
            max_age=self.declare(
                "watchdog", 0.25, "Age at which whatever moves the arm is stale [s].", low=0.05, high=2.0
            ),
        )
        if config is None:
            return limits
        inner_low, inner_high = np.array(config.workspace.low), np.array(config.workspace.high)
        if (inner_low < low - 1e-6).any() or (inner_high > high + 1e-6).any():
            raise BadParameter(
                f"the checkpoint's workspace {inner_low.tolist()} to {inner_high.tolist()} m is not inside "
                f"workspace_low {low.tolist()} to workspace_high {high.tolist()}: take another checkpoint or box"
            )
        return limits

    def _declare_timing(self, watchdog: float) -> Timing:
        return Timing(
            watchdog=watchdog,
            motion_time=self.declare(
                "motion_time", 0.15, "How long one twist moves the arm when no other follows [s].", low=0.01, high=1.0
            ),
            heartbeat=self.declare(
                "heartbeat",
                0.0,
                "Age at which the operator's heartbeat is stale [s]; 0: none needed.",
                low=0.0,
                high=5.0,
            ),
        )

    def _take_joints(self, message: JointState) -> None:
        if self._order is None or self._order[0] != message.name:
            if not set(self._joints) <= set(message.name):
                return  # a gripper's or another robot's; that ours are missing shows as stale joint states
            self._order = (list(message.name), [list(message.name).index(joint) for joint in self._joints])
        if len(message.position) != len(message.name):
            self._warn(f"joint_states has {len(message.name)} names and {len(message.position)} positions: refused")
            return
        position = np.array(message.position)[self._order[1]]
        if not np.isfinite(position).all():
            self._warn(f"joint_states has a position that is not finite, {position.tolist()}: refused")
            return
        if (arrival := self._arrival(message.header.stamp, "joint_states")) is None:
            return
        self._supervisor.joints_arrived(position, arrival)
        self._measured = (position, message.header.stamp)

    def _take_twist(self, message: TwistStamped) -> None:
        if message.header.frame_id != self._base_frame:
            self._warn(f"twist in frame {message.header.frame_id!r} refused: it must be in {self._base_frame!r}")
            return
        if (arrival := self._arrival(message.header.stamp, "twist")) is None:
            return
        linear, angular = message.twist.linear, message.twist.angular
        velocity = np.array([linear.x, linear.y, linear.z])
        if not np.isfinite([angular.x, angular.y, angular.z]).all():
            velocity[:] = np.nan  # the tool does not turn, but a command with any number that is none is none
        self._supervisor.twist_arrived(velocity, arrival)
        self._rests_on = stamp_ns(message.header.stamp)
        # The command goes out with the frame that it rests on, not at the timer's next turn.
        self._tick()

    def _take_heartbeat(self, _: Header) -> None:
        self._supervisor.heartbeat_arrived(time.monotonic())

    def _take_estop(self, message: Bool) -> None:
        if message.data:
            self._send(self._supervisor.estop("rig/estop"))
            self._publish_status()

    def _serve_arm(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        try:
            if request.data:
                self._supervisor.arm(time.monotonic())
            else:
                self._send(self._supervisor.disarm("by service"))
            response.success, response.message = True, self._supervisor.state.value
        except Refused as refusal:
            response.success, response.message = False, str(refusal)
        self._publish_status()
        return response

    def _serve_estop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._send(self._supervisor.estop("by service"))
        response.success, response.message = True, self._supervisor.state.value
        self._publish_status()
        return response

    def _serve_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            self._supervisor.reset_estop()
            response.success, response.message = True, self._supervisor.state.value
        except Refused as refusal:
            response.success, response.message = False, str(refusal)
        self._publish_status()
        return response

    def _tick(self) -> None:
        self._send(self._supervisor.tick(self.now(), time.monotonic()))
        state = (self._supervisor.state, self._supervisor.reason)
        if self._answered != self._rests_on or state != self._told:
            self._publish_status()
        measured, self._measured = self._measured, None
        if measured is not None:
            self._publish_pose(*measured)

    def _send(self, command: JointCommand | None) -> None:
        if command is None:
            return
        point = JointTrajectoryPoint(positions=command.position.tolist(), velocities=command.velocity.tolist())
        # Two periods: long enough to bridge a late command, short enough that a dead node leaves the arm still.
        point.time_from_start = Duration(seconds=2.0 * self._period).to_msg()
        self._controller.publish(JointTrajectory(joint_names=list(self._joints), points=[point]))

    def _publish_pose(self, position: np.ndarray, stamp: object) -> None:
        place, turn = self._kinematics.pose(position)
        message = PoseStamped()
        message.header.stamp = stamp
        message.header.frame_id = self._base_frame
        message.pose.position.x, message.pose.position.y, message.pose.position.z = map(float, place)
        quaternion = message.pose.orientation
        quaternion.w, quaternion.x, quaternion.y, quaternion.z = map(float, turn)
        self._pose.publish(message)

    def _publish_status(self) -> None:
        state, reason = self._supervisor.state, self._supervisor.reason
        if self._told is None or state.armed != self._told[0].armed:
            self.get_logger().info(f"{state.value} ({reason})")
        self._told, self._answered = (state, reason), self._rests_on
        values = {"state": state.name.lower(), "reason": reason, "rests_on": self._rests_on}
        self._status.publish(diagnostic("arm", LEVELS[state], state.value, values))

    def health(self) -> tuple[bytes, str, dict[str, object]]:
        state, reason = self._supervisor.state, self._supervisor.reason
        return LEVELS[state], state.value, {"reason": reason}

    def stop(self) -> None:
        self._send(self._supervisor.disarm("the arm node was stopped"))
        self._publish_status()
        self._controller.wait_for_all_acked(Duration(seconds=0.2))

    def _arrival(self, stamp: object, what: str) -> Arrival | None:
        try:
            return Arrival.of(stamp_s(stamp), self.now())
        except FromTheFuture as error:
            self._warn(f"{what} refused: {error}")
            return None

    def _warn(self, text: str) -> None:
        self.get_logger().warning(text, throttle_duration_sec=1.0)


def _held(action: ActionEntry) -> dict[int, float]:
    return {AXES.index(axis): place for axis, place in action.fixed.items()}


def main() -> None:
    run(ArmNode)


if __name__ == "__main__":
    main()
