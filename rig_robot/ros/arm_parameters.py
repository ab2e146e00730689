"""Declares the parameters that describe an arm, its bounds and its controller; config/arms/ has them for each arm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rclpy.parameter import Parameter
from rclpy.wait_for_message import wait_for_message
from std_msgs.msg import String

from rig_robot.arm.commands import TwistCommand, Vector
from rig_robot.arm.description_text import is_text, read_text
from rig_robot.arm.kinematics import Kinematics, Margin
from rig_robot.arm.limits import Limits
from rig_robot.arm.liveness import Timing
from rig_robot.arm.safety import SafetyFilter
from rig_robot.arm.supervisor import Filter
from rig_robot.arm.twist_filter import TwistFilter
from rig_robot.checkpoints.config import CheckpointConfig
from rig_robot.common.package_files import locate
from rig_robot.messages.arm_commands import AHEAD, INTERFACES, Interface
from rig_robot.ros.node import BadParameter, RigNode
from rig_robot.ros.qos import LATCHED

DESCRIPTION_TIMEOUT = 10.0
"""Time to wait for `robot_description` [s]."""

_DOUBLE, _DOUBLES = Parameter.Type.DOUBLE, Parameter.Type.DOUBLE_ARRAY


def declare_kinematics(node: RigNode, approach_rate: float, heard: str | None = None) -> Kinematics:
    """Return the arm that the parameters describe.

    Args:
        node: The arm node.
        approach_rate: Speed towards a face of the box, the table or another link for each metre away [1/s].
        heard: The text on the topic robot_description, where it has been heard; otherwise the node waits for it.

    Raises:
        BadParameter, ValueError, OSError: If they describe no arm; the text names what is wrong.
    """
    joints = node.declare("joints", Parameter.Type.STRING_ARRAY, "Names of the arm's joints, from the base outwards.")
    description = node.declare(
        "description",
        Parameter.Type.STRING,
        "The robot's MJCF or URDF: a path, package://NAME/PATH, or `topic` for the topic robot_description.",
    )
    base_frame = node.declare(
        "base_frame",
        "base",
        "Link of the description in whose frame twists, the tool's pose, the box and the table are. It does not move.",
    )
    tool = node.declare("tool", Parameter.Type.STRING, "Site or link of the description that is the tool.")
    offset = node.declare("tool_offset", [0.0, 0.0, 0.0], "Where the tool is in the frame of that site or link [m].")
    rest = node.declare("rest", _DOUBLES, "Posture that a redundant arm leans to, a joint [rad].")
    if len(rest) != len(joints):
        raise BadParameter(f"parameter rest = {list(rest)}: needs one number a joint, {len(joints)}")
    posture_speed = node.declare(
        "posture_speed", _DOUBLE, "How fast a redundant arm's joints lean to that posture [rad/s]."
    )
    margin = _declare_margin(node, approach_rate)
    arm = Kinematics(
        _text_or_file(node, description, heard),
        list(joints),
        tool,
        rest=list(rest),
        tool_offset=list(offset),
        posture_speed=posture_speed,
        margin=margin,
        base_frame=base_frame,
    )
    if margin is not None and not arm.has_shapes:
        raise BadParameter(
            f"parameter collision_margin = {margin.distance}: the description has no collision shapes but meshes, "
            "which are not read: add boxes, cylinders or spheres to its links, or set 0 to go without the margin"
        )
    return arm


def _declare_margin(node: RigNode, approach_rate: float) -> Margin | None:
    distance = node.declare(
        "collision_margin",
        _DOUBLE,
        "Kept between links that are not neighbours, and between links and the table [m]; 0: not looked after.",
        low=0.0,
        high=1.0,
    )
    # Without a margin the table's height is not used, but a preset may still give it.
    table = node.declare(
        "table_height", _DOUBLE if distance > 0.0 else 0.0, "Height of the table's top in the base frame [m]."
    )
    return Margin(distance, table, approach_rate) if distance > 0.0 else None


def _text_or_file(node: RigNode, description: str, heard: str | None) -> Path | str:
    """Return the description's file, or its text from robot_state_publisher's topic."""
    if description != "topic":
        return locate(description)
    if heard is None:
        node.get_logger().info("waits for robot_description")
        received, message = wait_for_message(
            String, node, "robot_description", qos_profile=LATCHED, time_to_wait=DESCRIPTION_TIMEOUT
        )
        if not received or message is None:
            raise BadParameter(
                f"parameter description = 'topic': nothing on robot_description within {DESCRIPTION_TIMEOUT:g} s; is "
                "robot_state_publisher running in this namespace? Or give a file"
            )
        heard = message.data
    if heard.strip() and not is_text(heard):
        raise BadParameter(f"robot_description is no URDF, which is XML: it begins with {heard[:40]!r}")
    return heard


def own_description(node: RigNode) -> str | None:
    """Return the text of the description that the parameter `description` names; None where it is another node's."""
    named = node.get_parameter("description").value
    if named == "topic":
        return None
    return read_text(locate(named))


def declare_limits(node: RigNode, approach_rate: float, config: CheckpointConfig | None) -> Limits:
    """Return the arm's bounds.

    Raises:
        BadParameter, BoundsMissing: If a bound is missing or not finite, or the checkpoint's workspace is not inside
            the box.
    """

    def bound(name: str, text: str) -> float:
        return node.declare(name, _DOUBLE, text)

    def bounds(name: str, text: str) -> Vector:
        return np.array(node.declare(name, _DOUBLES, text))

    low = bounds("workspace_low", "Lower corner of the box of the tool, base frame [m].")
    high = bounds("workspace_high", "Upper corner of that box [m].")
    limits = Limits(
        low=low,
        high=high,
        tool_speed=bound("tool_speed", "Largest speed of the tool [m/s]."),
        tool_acceleration=bound("tool_acceleration", "Largest acceleration of the tool [m/s^2]."),
        turn_speed=bound("turn_speed", "Speed at which the tool is turned to its orientation [rad/s]."),
        approach_rate=approach_rate,
        joint_speed=bounds("joint_speed", "Largest speed of each joint [rad/s]."),
        joint_acceleration=bounds("joint_acceleration", "Largest acceleration of each joint [rad/s^2]."),
        braking_time=node.declare(
            "braking_time",
            0.15,
            "No joint is sent faster than it can brake to rest from within this time [s].",
            low=0.02,
            high=2.0,
        ),
        singularity_slow=bound("singularity_slow", "Condition number of the Jacobian from which the arm slows."),
        singularity_stop=bound("singularity_stop", "Condition number of the Jacobian at which it stops."),
        tracking_error=bound("tracking_error", "Distance of a joint from its command that disarms [rad]."),
        max_age=node.declare("watchdog", 0.25, "Age at which whatever moves the arm is stale [s].", low=0.05, high=2.0),
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


def declare_interface(node: RigNode, rate: float) -> type[Interface]:
    """Return how the controller is commanded.

    Args:
        node: The arm node.
        rate: Commands to the controller a second [Hz].

    Raises:
        BadParameter: If the controller needs more commands a second.
    """
    name = node.declare("interface", "joint_trajectory", "What the controller takes.", choices=list(INTERFACES))
    interface = INTERFACES[name]
    if rate < interface.lowest_rate:
        needed = f"{interface.controller} needs {interface.lowest_rate:g} Hz or more"
        raise BadParameter(f"parameter rate = {rate:g}: {needed}")
    return interface


def declare_filter(
    node: RigNode, interface: type[Interface], arm: Kinematics, limits: Limits, orientation: Vector, period: float
) -> Filter:
    """Return the filter between the policy's twists and the interface's commands.

    Args:
        node: The arm node.
        interface: How the controller is commanded.
        arm: The arm's kinematics.
        limits: Its bounds.
        orientation: Orientation at which the tool is held, a quaternion (w, x, y, z).
        period: Time between two commands [s].
    """
    ramp = node.declare("ramp", 1.0, "Time over which commands fade in after arming [s].", low=0.0, high=10.0)
    timeout = node.declare("servo_timeout", 0.1, "MoveIt Servo's incoming_command_timeout [s].", low=0.01, high=1.0)
    if interface.takes is TwistCommand:
        return TwistFilter(arm, limits, orientation, ramp, timeout)
    return SafetyFilter(arm, limits, orientation, ramp, ahead=AHEAD * period, brakes=interface.brakes)


def declare_approach_rate(node: RigNode) -> float:
    """Return how fast the arm may approach a face of the box, the table or another link, for each metre away [1/s]."""
    rate = node.declare(
        "approach_rate",
        _DOUBLE,
        "Speed towards a face of the box, the table or another link for each metre that it is away [1/s].",
    )
    if not rate > 0.0:
        raise BadParameter(f"parameter approach_rate = {rate}: must be greater than 0")
    return rate


def declare_timing(node: RigNode, watchdog: float) -> Timing:
    """Return after which times messages are stale."""
    return Timing(
        watchdog=watchdog,
        motion_time=node.declare(
            "motion_time",
            0.13,
            "How long one twist moves the arm at most when no other follows [s]; 1.05 periods of theirs once known.",
            low=0.01,
            high=1.0,
        ),
        heartbeat=node.declare(
            "heartbeat", 0.0, "Age at which the operator's heartbeat is stale [s]; 0: none needed.", low=0.0, high=5.0
        ),
        joint_states=node.declare(
            "joint_states_timeout",
            0.0,
            "Age at which joint states are stale [s]; 0: five periods of theirs, 0.1 s to watchdog.",
            low=0.0,
            high=2.0,
        ),
    )


def declare_park(node: RigNode) -> Vector | None:
    """Return the tool's park position [3] m, base frame; None where the parameter is not given."""
    park = node.declare("park", [0.0], "Where ~/park drives the tool, base frame [m]: three numbers, or none.")
    return np.array(park) if list(park) != [0.0] else None
