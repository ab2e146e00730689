"""Arm node: filters the policy's twists and sends them to the arm's controller. No other node moves the arm."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.duration import Duration
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger

from rig_robot.arm.arm_state import ArmState
from rig_robot.arm.commands import Vector
from rig_robot.arm.kinematics import TOOL_DOWN
from rig_robot.arm.supervisor import ArmSupervisor, Refused
from rig_robot.checkpoints.checkpoint import read_config
from rig_robot.checkpoints.config import ActionEntry
from rig_robot.common.message_age import Arrival, ClockJump, FromTheFuture
from rig_robot.common.message_fields import stamp_ns, stamp_s
from rig_robot.common.package_files import locate
from rig_robot.messages.diagnostics import ERROR, OK, WARN, diagnostic
from rig_robot.messages.joint_states import BadJointState, JointStateReader
from rig_robot.nodes.arm_view import ArmView
from rig_robot.ros.arm_parameters import (
    declare_approach_rate,
    declare_filter,
    declare_interface,
    declare_kinematics,
    declare_limits,
    declare_park,
    declare_timing,
    own_description,
)
from rig_robot.ros.estop import LOOK_EVERY, EstopTopic
from rig_robot.ros.graph import TwoSources, callers, publisher_of, publishers
from rig_robot.ros.lifecycle import ManagedNode
from rig_robot.ros.node_process import run
from rig_robot.ros.polled_subscription import PolledSubscription
from rig_robot.ros.qos import COMMAND, JOINT_STATES, LATCHED, STATE
from rig_robot.ros.realtime_priority import take_priority
from rig_robot.ros.rejection_log import RejectionLog

AXES = "xyz"
LONGEST_BRAKING = 0.5
"""Longest time that the arm gets to brake to rest [s]."""
RESTING = 0.1
"""Between two ticks of an arm that is disarmed and at rest [s]: nothing is sent to it, its pose is published"""
LEVELS = {
    ArmState.DISARMED: WARN,
    ArmState.WAITING: OK,
    ArmState.MOVING: OK,
    ArmState.PARKING: OK,
    ArmState.ESTOPPED: ERROR,
}


class ArmNode(ManagedNode):
    """Connects `ArmSupervisor` to parameters, topics and services; see docs/nodes.md."""

    def __init__(self) -> None:
        super().__init__("arm")
        rate = self.declare("rate", 100.0, "Commands to the controller a second [Hz].", low=10.0, high=1000.0)
        self._period = 1.0 / rate
        checkpoint = self.declare("checkpoint", "", "Checkpoint whose workspace and axes are used; none if empty.")
        config = read_config(locate(checkpoint)) if checkpoint else None

        approach_rate = declare_approach_rate(self)
        self._kinematics = declare_kinematics(self, approach_rate)
        described = self.get_parameter("description").value
        self.hardware_id = "robot_description" if described == "topic" else Path(described).stem
        self._base_frame = self._kinematics.base_frame
        self._joints = self._kinematics.joints
        limits = declare_limits(self, approach_rate, config)
        orientation = np.array(config.action.tool_orientation if config else TOOL_DOWN)
        kind = declare_interface(self, rate)
        self._interface = kind(self._joints, self._period, self._base_frame)
        self._filter = declare_filter(self, kind, self._kinematics, limits, orientation, self._period)
        self._supervisor = ArmSupervisor(
            self._filter,
            declare_timing(self, limits.max_age),
            _fixed_axes(config.action) if config else {},
            ClockJump(rate=None if self.get_parameter("use_sim_time").value else 1.0),
            declare_park(self),
        )
        self._rejected_joints = RejectionLog(self.get_logger(), repeat_s=1.0)
        self._priority = take_priority(self)
        self._reader = JointStateReader(self._joints)
        self._measured: tuple[np.ndarray, object] | None = None
        self._frame_stamp = 0
        self._published_stamp = 0
        self._published: tuple[ArmState, str] | None = None

        topic = self.declare("command_topic", "", "Where the controller listens; the interface's usual if empty.")
        self._controller = self.publisher(self._interface.message, topic or self._interface.topic, COMMAND)
        self._pose = self.publisher(PoseStamped, "rig/ee_pose", STATE)
        self._status = self.publisher(DiagnosticStatus, "rig/arm/status", LATCHED)
        self._view = ArmView(self, self._base_frame, limits, own_description(self), self._sent_to)
        joint_states = self.declare("joint_states_topic", "joint_states", "Where the measured joints come from.")
        # Polled at each tick: if each message woke the process up, that would be half of its work at rest.
        self._joint_states = PolledSubscription(self, JointState, joint_states, JOINT_STATES)
        self.subscribe(TwistStamped, "rig/policy/twist", self._take_twist, COMMAND)
        self.subscribe(Header, "rig/operator/heartbeat", self._take_heartbeat, COMMAND)
        self._two_policies = TwoSources()
        self._alternated = -1.0  # when twists of two publishers alternated last [s, steady clock]
        self._stopped_by: set[str] = set()
        self.every(LOOK_EVERY, EstopTopic(self, "rig/estop", self._on_estop, self._log_stop).look)
        self._create_services()
        self._timer = self.every(self._period, self._tick)
        self.every(0.5, self._publish_status)
        self._publish_status()
        self.begin_life()

    def _create_services(self) -> None:
        self.create_service(SetBool, "~/set_armed", self._serve_arm)
        self.create_service(SetBool, "~/arm", self._serve_old_arm)  # deprecated: goes with 0.2
        self.create_service(Trigger, "~/estop", self._serve_estop)
        self.create_service(Trigger, "~/reset_estop", self._serve_reset)
        self.create_service(Trigger, "~/park", self._serve_park)

    def _take_joint_states(self) -> None:
        for message, waited in self._joint_states.take():
            try:
                position = self._reader.read(message)
            except BadJointState as error:
                self._warn(str(error))
                continue
            if position is None or (arrival := self._arrival(message.header.stamp, "joint_states", waited)) is None:
                continue
            if (refused := self._supervisor.joints_arrived(position, arrival)) is not None:
                self._rejected_joints.reject(refused)
            else:
                self._measured = (position, message.header.stamp)

    def _take_twist(self, message: TwistStamped, info: Any) -> None:
        if self._two_policies.mix(publisher_of(info), time.monotonic()):
            self._alternated = time.monotonic()
            self._supervisor.disarm(self._two_publishers())
        if message.header.frame_id != self._base_frame:
            self._warn(f"twist in frame {message.header.frame_id!r} refused: it must be in {self._base_frame!r}")
            return
        if (arrival := self._arrival(message.header.stamp, "twist")) is None:
            return
        late = self._frame_stamp - stamp_ns(message.header.stamp)
        if 0 < late < 1e9 * self._filter.limits.max_age:  # where it is later still, the clock was set back
            self._warn(f"twist refused: it rests on a frame {1e-6 * late:.0f} ms older than the one before did")
            return
        linear, angular = message.twist.linear, message.twist.angular
        velocity = np.array([linear.x, linear.y, linear.z])
        if not np.isfinite([angular.x, angular.y, angular.z]).all():
            velocity[:] = np.nan  # the tool does not turn, but one number that is not finite spoils the command
        self._supervisor.twist_arrived(velocity, arrival)
        self._frame_stamp = stamp_ns(message.header.stamp)
        # The command goes out at once, not at the timer's next turn: the frame that it rests on is still fresh.
        self._tick()

    def _take_heartbeat(self, _: Header) -> None:
        self._supervisor.heartbeat_arrived(time.monotonic())

    def _on_estop(self, who: str) -> None:
        self._supervisor.estop(who)
        self._come_to_rest()

    def _log_stop(self, who: str, *, again: bool = False) -> None:
        """Log who gave an emergency stop: each node once while the stop is latched; a button may repeat itself."""
        if who in self._stopped_by and not again:
            return
        self._stopped_by.add(who)
        namespace = self.get_namespace().strip("/")
        option = f" --namespace {namespace}" if namespace else ""
        service = self.resolve_service_name("~/reset_estop")
        self.get_logger().error(
            f"emergency stop by {who}: latched, the arm is disarmed. To reset it: rig tell reset{option}, or "
            f"ros2 service call {service} std_srvs/srv/Trigger; then arm it"
        )

    def on_duplicate_name(self, text: str) -> None:
        self._supervisor.disarm(text)
        self._come_to_rest()

    def on_deactivated(self) -> None:
        self._supervisor.disarm("the arm node was deactivated", may_relieve=False)
        self._come_to_rest()

    def _arm(self) -> None:
        if why := self.inactive() or self.duplicate_name():
            raise Refused(why)
        if time.monotonic() - self._alternated < 1.0:
            raise Refused(self._two_publishers())
        self._supervisor.arm(time.monotonic())

    def _two_publishers(self) -> str:
        return f"rig/policy/twist comes from two publishers in turn ({publishers(self, 'rig/policy/twist')}): stop one"

    def _serve_arm(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if request.data:
            return self._answer(response, self._arm)
        return self._answer(response, self._supervisor.disarm_by_hand)

    def _serve_old_arm(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        old, new = (self.resolve_service_name(name) for name in ("~/arm", "~/set_armed"))
        self.get_logger().warning(f"{old} is deprecated and goes with 0.2: call {new}", once=True)
        return self._serve_arm(request, response)

    def _serve_estop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        service = self.resolve_service_name("~/estop")
        # The arm is stopped first, and the caller is looked up afterwards.
        answer = self._answer(response, lambda: self._supervisor.estop(f"service {service}"))
        # A service does not know its caller. It still waits for the answer, so it is among the nodes with a client.
        self._log_stop(f"service {service}, called by {callers(self, service)}", again=True)
        return answer

    def _serve_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._stopped_by.clear()
        return self._answer(response, self._supervisor.reset_estop)

    def _serve_park(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._answer(response, lambda: self._supervisor.park(time.monotonic()))

    def _answer(self, response: Any, act: Callable[[], None]) -> Any:
        """Do as a service asks, and answer when it is done: an arm that was disarmed is at rest by then."""
        try:
            self._take_joint_states()
            act()
            self._come_to_rest()
            response.success, response.message = True, self._supervisor.state.value
        except Refused as refusal:
            response.success, response.message = False, str(refusal)
        self._publish_status()
        return response

    def _come_to_rest(self) -> None:
        """Send commands until an arm that must stop is at rest; that takes 0.1 to 0.2 s."""
        end = time.monotonic() + LONGEST_BRAKING
        self._command()
        while self._supervisor.braking and time.monotonic() < end:
            time.sleep(self._period)
            self._command()
        self._publish_status()

    def _tick(self) -> None:
        self._take_joint_states()
        self._command()
        state = (self._supervisor.state, self._supervisor.reason)
        if self._published_stamp != self._frame_stamp or state != self._published:
            self._publish_status()
        measured, self._measured = self._measured, None
        if measured is not None:
            self._publish_pose(*measured)

    def _keep_pace(self) -> None:
        """Tick at the command rate, but seldom while the arm is disarmed and at rest; arming wakes it at once."""
        period = max(self._period, RESTING) if self._supervisor.at_rest else self._period
        if round(1e9 * period) != self._timer.timer_period_ns:
            self._timer.timer_period_ns = round(1e9 * period)
            self._timer.reset()  # or the tick that is due would still come after the old period

    def _command(self) -> None:
        """Send the command that is due now, if any, and tick at the pace that goes with it."""
        due = time.monotonic()
        if (command := self._supervisor.tick(self.now(), due)) is not None:
            stamp = self.get_clock().now().to_msg()
            self._controller.publish(self._interface.write(command, stamp, late=time.monotonic() - due))
        self._keep_pace()

    def _publish_pose(self, position: np.ndarray, stamp: object) -> None:
        place, turn = self._kinematics.pose(position)
        message = PoseStamped()
        message.header.stamp = stamp
        message.header.frame_id = self._base_frame
        message.pose.position.x, message.pose.position.y, message.pose.position.z = map(float, place)
        quaternion = message.pose.orientation
        quaternion.w, quaternion.x, quaternion.y, quaternion.z = map(float, turn)
        self._pose.publish(message)
        self._view.see(place, turn, stamp)

    def _sent_to(self) -> Vector | None:
        return self._filter.target if self._supervisor.state.armed else None

    def _publish_status(self) -> None:
        state, reason = self._supervisor.state, self._supervisor.reason
        # An emergency stop is logged by `_log_stop`, which says more.
        if (self._published is None or state.armed != self._published[0].armed) and state is not ArmState.ESTOPPED:
            self.get_logger().info(f"{state.value} ({reason})")
        self._published, self._published_stamp = (state, reason), self._frame_stamp
        values = {"state": state.name.lower(), "reason": reason, "rests_on": self._frame_stamp}
        self._status.publish(diagnostic("arm", LEVELS[state], state.value, values))

    def health(self) -> tuple[bytes, str, dict[str, object]]:
        state, reason = self._supervisor.state, self._supervisor.reason
        values = {"reason": reason, "scheduling": self._priority}
        return LEVELS[state], state.value, values | {"refused_joint_states": self._rejected_joints.count}

    def stop(self) -> None:
        self._supervisor.disarm("the arm node was stopped")
        self._come_to_rest()
        self._controller.wait_for_all_acked(Duration(seconds=0.2))

    def _arrival(self, stamp: object, what: str, waited: float = 0.0) -> Arrival | None:
        try:
            return Arrival.of(stamp_s(stamp), self.now(), waited=waited)
        except FromTheFuture as error:
            self._warn(f"{what} refused: {error}")
            return None

    def _warn(self, text: str) -> None:
        self.get_logger().warning(text, throttle_duration_sec=1.0)


def _fixed_axes(action: ActionEntry) -> dict[int, float]:
    return {AXES.index(axis): place for axis, place in action.fixed.items()}


def main() -> None:
    run(ArmNode)


if __name__ == "__main__":
    main()
