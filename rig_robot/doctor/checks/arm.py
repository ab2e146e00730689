"""Checks the arm: its description, bounds and postures, its joint states, and the controller of its commands."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from rclpy.qos import DurabilityPolicy, QoSCompatibility, QoSProfile, qos_check_compatible

from rig_robot.arm.commands import Vector
from rig_robot.arm.kinematics import TOOL_DOWN, Kinematics, NotReached
from rig_robot.arm.limits import Limits
from rig_robot.common.message_age import FUTURE_LIMIT
from rig_robot.doctor.check_result import Finding, fail, ok, warn
from rig_robot.doctor.configured_arm import kinematics, limits, measured, park
from rig_robot.doctor.examined_system import ExaminedSystem
from rig_robot.doctor.heard import Endpoint, full_name
from rig_robot.ros.qos import COMMAND, OBSERVATION, STATE

TURNED = 0.1
"""Angle between the tool's orientation and the trained one above which there is a warning [rad]."""
CLOSE_TO_LIMIT = 0.1
"""Distance of a joint from the end of its range below which there is a warning [rad]; MoveIt Servo's margin."""


def description(system: ExaminedSystem) -> Finding:
    """Check whether the description has this arm, and whether all bounds are given."""
    name = "arm's description"
    try:
        arm = kinematics(system)
        bounds = limits(system)
    except (ValueError, OSError) as error:
        return fail(
            name, str(error), "the arm node would not start: mend the arm's entry in the configuration (docs/arms.md)"
        )
    count = len(arm.joints)
    for field in ("joint_speed", "joint_acceleration"):
        if len(getattr(bounds, field)) != count:
            return fail(
                name,
                f"{field} has {len(getattr(bounds, field))} numbers for {count} joints",
                "give one number a joint, in the order of `joints`",
            )
    shapes = "with" if arm.has_shapes else "without"
    margin = arm.margin.distance if arm.margin else 0.0
    text = f"{count} joints, all bounds given; {shapes} collision shapes, margin {1e3 * margin:g} mm"
    if not margin:
        return warn(
            name,
            f"{text}: nothing keeps the links off each other and off the table",
            "give the links boxes, cylinders or spheres to collide with, and set collision_margin (docs/arms.md)",
        )
    return ok(name, text)


def postures(system: ExaminedSystem) -> Finding:
    """Check whether the arm reaches its rest posture, the park position and the policy's workspace."""
    name = "rest and park"
    arm, bounds = kinematics(system), limits(system)
    rest = np.array(system.arm["rest"])
    over = [
        joint
        for joint, q, low, high in zip(arm.joints, rest, arm.lower, arm.upper, strict=True)
        if not low <= q <= high
    ]
    if over:
        return fail(
            name, f"rest is outside the range of {', '.join(over)}", "give a rest posture within the joint ranges"
        )
    turn = np.array(system.trained.action.tool_orientation)
    at = arm.forward(rest)
    text = f"tool at {_mm(at)} mm in rest"
    place = park(system)
    corners = _corners(system)
    if place is not None:
        if place.shape != (3,) or bounds.outside(place) > 0:
            return fail(
                name, f"park {place.tolist()} is not inside the box", "give park as [x, y, z] in m inside the workspace"
            )
        corners["park"] = place
        text += f", parks at {_mm(place)} mm"
    missed = []
    for where, corner in corners.items():
        try:
            arm.solve(rest, corner, turn, tolerance=1e-3, angle_tolerance=1e-2)
        except NotReached:
            missed.append(f"{where} {_mm(corner)} mm")
    if missed:
        return fail(
            name,
            f"{text}; the arm does not reach {', '.join(missed)} from rest with the tool turned as trained",
            "move or shrink the box, or choose another rest posture: try the places with a pendant",
        )
    if bounds.outside(at) > 0.1:
        return warn(
            name,
            f"{text}, {1e3 * bounds.outside(at):.0f} mm outside the box",
            "choose a rest posture near or above the box: a redundant arm leans to it wherever the tool is",
        )
    return ok(name, f"{text}; all corners of the policy's workspace are reached")


def _corners(system: ExaminedSystem) -> dict[str, Vector]:
    """Return the corners of the box that the policy moves in [m], by name."""
    low, high = system.trained.workspace.low, system.trained.workspace.high
    corners = {tuple((low, high)[bit][axis] for axis, bit in enumerate(bits)) for bits in np.ndindex(2, 2, 2)}
    return {f"corner {number}": np.array(corner) for number, corner in enumerate(sorted(corners), 1)}


def joint_states(system: ExaminedSystem) -> Finding:
    """Check whether joint states arrive, often enough and with the right names."""
    name = "joint states"
    heard, topic = system.heard.joints, system.joint_states_topic
    if not heard.arrivals:
        publishers = system.heard.publishers.get(topic, [])
        if publishers:
            return fail(
                name,
                f"{_nodes(publishers)} publishes {topic}, but nothing arrives",
                "see that joint_state_broadcaster is active (ros2 control list_controllers) and the drives are on",
            )
        starts = "rig sim" if system.options.sim else "the arm's driver (ros2_control: joint_state_broadcaster)"
        return warn(
            name, f"not running: nobody publishes {topic}", f"start {starts}; mind the namespace and the ROS domain"
        )
    wanted = list(system.arm["joints"])
    told = heard.positions
    rate, gap = heard.rate, heard.longest_gap
    text = f"{topic} at {rate:.0f} Hz, longest gap {1e3 * gap:.0f} ms"
    if wrong := _wrong_messages(system, wanted):
        found, advice = wrong
        return fail(name, f"{text}; {found}", advice)
    watchdog = float(system.arm.get("watchdog", 0.25))
    if gap > watchdog:
        return fail(
            name,
            f"{text}: longer than the watchdog's {watchdog:g} s",
            "the arm would stop there: look at the network (wired, not wireless) and at the driver's load",
        )
    needed = 0.45 * float(system.arm.get("rate", 100.0))
    if rate < needed:
        return warn(
            name,
            f"{text}; commands go out at {system.arm.get('rate', 100.0):g} Hz",
            "raise joint_state_broadcaster's rate (update_rate), or lower the arm's rate: what is not measured is not "
            "checked",
        )
    return ok(name, f"{text}; all {len(wanted)} joints" + (f" of {len(told)}" if len(told) > len(wanted) else ""))


def _wrong_messages(system: ExaminedSystem, wanted: list[str]) -> tuple[str, str] | None:
    """Return what is wrong with the form of the joint states, and what to do about it; None where nothing is."""
    told = system.heard.joints.positions
    forms = [form for form in system.heard.joint_messages if set(wanted) & set(form.names)]
    if missing := [joint for joint in wanted if joint not in told]:
        return (
            f"without {', '.join(missing)}; it has {', '.join(told)}",
            "put the driver's names in `joints` (ur_robot_driver: tf_prefix; franka_ros2: arm_id), or the right "
            "joint_states_topic",
        )
    for form in forms:
        twice = [joint for joint, count in Counter(form.names).items() if count > 1]
        if twice or len(form.names) != form.positions:
            what = f"{', '.join(twice)} more than once" if twice else f"{form.positions} positions"
            return (
                f"messages with {len(form.names)} names and {what}",
                "mend the driver: one position a name; the arm node refuses these",
            )
    if not any(set(wanted) <= set(form.names) for form in forms):
        parts = sorted({", ".join(joint for joint in form.names if joint in wanted) for form in forms})
        return (
            f"never all joints in one message: {' | '.join(parts)}",
            "let one joint_state_broadcaster publish them all (or a joint_state_publisher with source_list, and its "
            "topic as joint_states_topic): the arm node takes whole postures only",
        )
    if len(publishers := {form.publisher for form in forms}) > 1:
        given = system.heard.publishers.get(system.joint_states_topic, [])
        names = [
            next((end.node for end in given if who and end.identity.startswith(who)), "one that is gone already")
            for who in publishers
        ]
        return (
            f"{len(publishers)} publishers of these joints: {', '.join(sorted(names))}",
            "stop all but the arm's driver (a joint_state_publisher, a second driver?): of two postures the arm node "
            "can believe neither",
        )
    if not np.isfinite([told[joint] for joint in wanted]).all():
        return "a position is not a finite number", "see the driver's log: the arm node refuses these"
    return None


def clocks(system: ExaminedSystem) -> Finding:
    """Check whether the stamps of the messages agree with this machine's clock."""
    name = "clocks"
    watchdog = float(system.arm.get("watchdog", 0.25))
    frame_age = 3 * system.trained.action.period_s
    parts, worst = [], 0.0
    for what, stream, oldest in (
        (system.joint_states_topic, system.heard.joints, watchdog),
        (system.image_topic, system.heard.frames, frame_age),
    ):
        if not stream.arrivals:
            continue
        if stream.unstamped:
            return fail(
                name,
                f"{what}: {stream.unstamped} of {len(stream.arrivals)} messages have no stamp",
                "let the driver stamp with the time of measurement: unstamped is too old for every node",
            )
        low, middle, _ = stream.age()
        parts.append(f"{what} {1e3 * middle:.1f} ms old on arrival (youngest {1e3 * low:.1f})")
        if low < -FUTURE_LIMIT or middle > oldest:
            ahead = low < 0
            return fail(
                name,
                f"{what} is stamped {abs(low if ahead else middle):.3f} s in the {'future' if ahead else 'past'}"
                f" (allowed: {FUTURE_LIMIT if ahead else oldest:g} s)",
                "the clocks of two machines differ: run chrony on both (chronyc tracking; chronyc makestep), PTP for "
                "less than a millisecond"
                + ("" if ahead else "; or the driver is late, or use_sim_time is set on one side only"),
            )
        worst = min(worst, low)
    if not parts:
        return warn(name, "not running: no stamps to compare", f"start the drivers, then {system.start}")
    if worst < -0.005:
        return warn(
            name,
            f"{'; '.join(parts)}: {-1e3 * worst:.0f} ms in the future",
            "run chrony on both machines: ages are wrong by as much, and 50 ms are refused",
        )
    return ok(name, "; ".join(parts))


def commands(system: ExaminedSystem) -> Finding:
    """Check whether a controller takes the arm's commands, of the right type, and no other node sends any."""
    name = "controller"
    heard, topic = system.heard, system.command_topic
    takers, kind = heard.subscribers.get(topic, []), system.command_type
    if not takers:
        text = f"nobody subscribes to {topic} ({system.interface})"
        if not heard.joints.arrivals:
            return warn(name, f"not running: {text}", "start the arm's controller")
        return fail(
            name,
            text,
            "start the controller that the interface names (ros2 control list_controllers: it must be active), or set "
            "command_topic; mind the namespace",
        )
    if wrong := [taker for taker in takers if taker.kind != kind]:
        return fail(
            name,
            f"{topic}: {_nodes(wrong)} takes {wrong[0].kind}, the arm node would send {kind}",
            f"choose the interface that the controller has, instead of {system.interface}",
        )
    me = full_name("arm", system.options.namespace)
    if others := [giver for giver in heard.publishers.get(topic, []) if giver.node != me]:
        return fail(
            name,
            f"{topic} has another commander: {_nodes(others)}",
            "stop it (MoveIt, a teleoperation, rqt?): what two command in turns no safety filter has seen as a whole",
        )
    settings = {
        key: value
        for taker in takers
        for key, value in heard.parameters.get(taker.node, {}).items()
        if key in system.controller_settings
    }
    if off := [key for key, value in settings.items() if value is False]:
        return fail(
            name,
            f"{_nodes(takers)} has {', '.join(f'{key}: false' for key in off)}",
            "set it true in the controller's YAML (docs/arms.md): each command is replaced by the next, which else "
            "begins where the arm lags instead of where the last one had led",
        )
    told = f"; {', '.join(f'{key}: {value}' for key, value in settings.items())}" if settings else ""
    return ok(name, f"{_nodes(takers)} takes {topic} ({kind}){told}")


def qos(system: ExaminedSystem) -> Finding:
    """Check whether the QoS of the drivers' topics fits: where it does not, no message passes, without any error."""
    name = "QoS"
    heard = system.heard
    wrong = []
    for topic, ours in ((system.joint_states_topic, STATE), (system.image_topic, OBSERVATION)):
        for giver in heard.publishers.get(topic, []):
            wrong += _misfit(topic, giver, giver.qos, ours)
    for taker in heard.subscribers.get(system.command_topic, []):
        wrong += _misfit(system.command_topic, taker, COMMAND, taker.qos)
    if wrong:
        return fail(
            name, "; ".join(wrong), "change it in the driver's configuration (QoS overrides): nothing passes now"
        )
    count = sum(len(heard.publishers.get(topic, [])) for topic in (system.joint_states_topic, system.image_topic))
    count += len(heard.subscribers.get(system.command_topic, []))
    if not count:
        return warn(name, "not running: nobody to compare with", f"start the drivers, then {system.start}")
    return ok(name, f"that of all {count} publishers and subscribers fits")


def _misfit(topic: str, other: Endpoint, publisher: QoSProfile, subscriber: QoSProfile) -> list[str]:
    verdict, why = qos_check_compatible(_plain(publisher), _plain(subscriber))
    return [f"{topic}: {other.node}: {why.strip().rstrip(';')}"] if verdict == QoSCompatibility.ERROR else []


def _plain(profile: QoSProfile) -> QoSProfile:
    """Return the part of a profile by which DDS decides whether messages pass; by default volatile, no deadlines."""
    kept = profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    durability = DurabilityPolicy.TRANSIENT_LOCAL if kept else DurabilityPolicy.VOLATILE
    return QoSProfile(depth=1, reliability=profile.reliability, durability=durability)


def pose(system: ExaminedSystem) -> Finding:
    """Check whether the arm may start to work from its present posture."""
    name = "present pose"
    arm, bounds = kinematics(system), limits(system)
    q = measured(system, arm.joints)
    if q is None:
        return warn(name, "not running: the joints are not told", "start the arm's driver")
    if _wrong_messages(system, list(arm.joints)):
        return warn(name, "not known: the joint states are wrong", "mend the joint states first")
    at, turned = arm.pose(q)
    if outside := bounds.outside(at):
        return warn(
            name,
            f"tool at {_mm(at)} mm, {1e3 * outside:.0f} mm outside the box",
            "drive it into the box with the pendant, or widen the box: from outside it may only move inwards",
        )
    return _inside(name, system, arm, bounds, q, turned, f"tool at {_mm(at)} mm, in the box")


def _inside(
    name: str, system: ExaminedSystem, arm: Kinematics, bounds: Limits, q: Vector, turned: Vector, text: str
) -> Finding:
    """Check a posture whose tool is in the box."""
    over = [joint for joint, near in zip(arm.joints, np.minimum(q - arm.lower, arm.upper - q), strict=True) if near < 0]
    if over:
        return fail(
            name,
            f"{text}; {', '.join(over)} is outside its range",
            "is the description this arm's? Check signs and offsets",
        )
    wanted: Any = np.array(system.trained.action.tool_orientation) if system.trained else TOOL_DOWN
    angle = 2 * float(np.arccos(np.clip(abs(turned @ (wanted / np.linalg.norm(wanted))), 0, 1)))
    condition, clearance = arm.condition(q), arm.clearance(q)
    text += f"; condition {condition:.0f}, {1e3 * clearance:.0f} mm clear" if np.isfinite(clearance) else ""
    if condition > bounds.singularity_slow:
        return warn(name, f"{text}: near a singularity", "bend the arm with the pendant, or choose a box further in")
    if arm.margin is not None and clearance < arm.margin.distance:
        return warn(
            name,
            f"{text}: nearer than collision_margin {1e3 * arm.margin.distance:g} mm",
            "drive it away; where nothing is that near, the description's shapes are too thick or table_height wrong",
        )
    if angle > TURNED:
        return warn(
            name,
            f"{text}; turned by {np.degrees(angle):.0f} degrees from the orientation trained with",
            f"turn it with the pendant; else it turns by itself at {bounds.turn_speed:g} rad/s once it moves",
        )
    near = float(np.minimum(q - arm.lower, arm.upper - q).min())
    if near < CLOSE_TO_LIMIT:
        joint = arm.joints[int(np.argmin(np.minimum(q - arm.lower, arm.upper - q)))]
        return warn(name, f"{text}; {joint} is {near:.2f} rad from its end", "bend it back with the pendant")
    return ok(name, text)


def _nodes(endpoints: list[Endpoint]) -> str:
    return ", ".join(sorted({endpoint.node for endpoint in endpoints}))


def _mm(place: Vector) -> str:
    return "(" + ", ".join(f"{1e3 * value:.0f}" for value in place) + ")"
