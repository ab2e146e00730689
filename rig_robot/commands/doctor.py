"""Runs `rig doctor`: checks everything that is easily forgotten, and says what to do about it."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from rig_robot.bringup.environment import (
    BUILTIN_TRANSPORTS,
    DDS_VARIABLES,
    DISCOVERY,
    dds_profile,
    simulation_environment,
)
from rig_robot.bringup.node_spec import BringupError, Parameters
from rig_robot.bringup.ros_environment import log_folder, obstacles
from rig_robot.bringup.systems import ROBOT_NODES
from rig_robot.common.output_paths import check_file
from rig_robot.doctor.check_result import Finding, Level, fail, ok, warn
from rig_robot.doctor.options import DoctorOptions

if TYPE_CHECKING:
    from rig_robot.doctor.examined_system import ExaminedSystem

Check = Callable[[str, Callable[[], Finding]], None]
"""Runs a check and reports its finding, or the exception that kept it from one, under a name."""


def run(options: DoctorOptions) -> int:
    """Print the findings; return 1 where anything fails, else 0."""
    if not 0 < options.seconds < math.inf:
        raise ValueError(f"seconds is {options.seconds}: must be greater than 0")
    check_file("json", options.json)
    check_file("picture", options.picture)
    findings: list[Finding] = []

    def report(finding: Finding) -> None:
        findings.append(finding)
        print(finding.line(colour=sys.stdout.isatty()), flush=True)

    given = dict(os.environ)
    if options.sim:
        os.environ.update(simulation_environment())
    try:
        _examine(options, report)
    finally:
        os.environ.clear()
        os.environ.update(given)
    counts = {level: sum(finding.level is level for finding in findings) for level in Level}
    print(f"{counts[Level.OK]} ok, {counts[Level.WARN]} to look at, {counts[Level.FAIL]} wrong")
    if options.json is not None:
        options.json.write_text(json.dumps([finding.values() for finding in findings], indent=1) + "\n")
    return 1 if counts[Level.FAIL] else 0


def _examine(options: DoctorOptions, report: Callable[[Finding], None]) -> None:
    _environment(report)  # first: rcl ends the process while it is imported where it does not like a variable
    # The checks import MuJoCo and ROS, so they are imported only here: `rig --help` stays quick.
    from rig_robot.doctor.checks import dds, machine
    from rig_robot.doctor.examined_system import ExaminedSystem, configured

    def check(name: str, examine: Callable[[], Finding]) -> None:
        try:
            report(examine())
        except Exception as error:  # whatever it is, the other checks go on
            report(fail(name, f"{type(error).__name__}: {error}", "this is what stood in the way of the check"))

    check("versions", machine.versions)
    check("orphaned memory", dds.orphaned_memory)
    arm: Parameters = {}
    count = len(ROBOT_NODES)
    try:
        system = ExaminedSystem(options, configured(options))
        report(_configuration(options))
    except (BringupError, ValueError, OSError) as error:
        report(fail("configuration", str(error), "mend this first: what rests on it cannot be looked at without it"))
    else:
        _examine_system(_listen(system, check), check)
        arm, count = system.arm, len(system.nodes)
    check("processor", lambda: machine.cores(count))
    check("scheduling", lambda: machine.scheduling_latency(float(arm.get("rate", 100.0))))
    check("real-time priority", lambda: machine.realtime(int(arm.get("realtime_priority", 0))))
    check("rendering (GL)", lambda: machine.rendering(options.sim))


def _examine_system(system: ExaminedSystem, check: Check) -> None:
    from rig_robot.doctor.checks import arm, camera, checkpoint, dds
    from rig_robot.doctor.checks import nodes as running

    for name, examine in {
        "users": dds.users,
        "ROS domain": dds.domain_nodes,
        "nodes": running.nodes,
        "use_sim_time": dds.simulated_time,
        "DDS profile": dds.profile,
        "shared memory": dds.shared_memory,
        "QoS": arm.qos,
        "checkpoint": checkpoint.loads,
        "workspace": checkpoint.fits,
        "inference": checkpoint.latency,
        "camera": camera.frames,
        "exposure": camera.exposure,
        "focus": camera.focus,
        "view": camera.view,
        "arm's description": arm.description,
        "rest and park": arm.postures,
        "joint states": arm.joint_states,
        "present pose": arm.pose,
        "controller": arm.commands,
        "clocks": arm.clocks,
    }.items():
        check(name, lambda examine=examine: examine(system))  # type: ignore[misc]


def _environment(report: Callable[[Finding], None]) -> None:
    """Report what keeps ROS from starting in this environment, and remove it for the checks that follow."""
    name = "environment"
    found = list(obstacles(os.environ))
    for obstacle in found:
        report(fail(name, obstacle.found, f"{obstacle.cure}; the other checks are made without it"))
        for variable, value in obstacle.instead.items():
            os.environ.pop(variable, None)
            if value is not None:
                os.environ[variable] = value
    if not found:
        report(ok(name, f"ROS 2 can start; it logs to {log_folder(os.environ)}"))


def _configuration(options: DoctorOptions) -> Finding:
    name = "configuration"
    if options.config is not None:
        return ok(name, str(options.config))
    if options.sim:
        return ok(name, "the package's config/sim.yaml")
    return warn(
        name, "the package's config/robot.yaml: nobody's robot", "copy it, edit what is marked EDIT, and give --config"
    )


def _listen(system: ExaminedSystem, check: Check) -> ExaminedSystem:
    """Return the system with what it said; an error that prevents listening is reported as a finding."""
    from rig_robot.bringup.other_users import over_udp, strangers
    from rig_robot.doctor.heard import Heard, Topics
    from rig_robot.doctor.system_listener import listen
    from rig_robot.doctor.temporary_camera import CAMERA_START, temporary_camera

    heard = system.heard
    topics = Topics(
        joints=system.joint_states_topic,
        frames=system.image_topic,
        commands=system.command_topic,
        settings=system.controller_settings,
        nodes=[node.name for node in system.nodes],
        description=system.arm.get("description") == "topic",
        sim_time=bool(system.arm.get("use_sim_time", False)),
    )
    changed = (*DDS_VARIABLES, BUILTIN_TRANSPORTS, DISCOVERY)
    asked = {variable: os.environ[variable] for variable in changed if variable in os.environ}
    # The DDS reads its profile when it starts, so this comes first. A listener needs no large segment.
    os.environ.update(over_udp(os.environ) if strangers(os.environ) else dds_profile("small", os.environ))

    def hear() -> Finding:
        nonlocal heard
        heard = listen(topics, system.options.namespace, system.options.seconds)
        if camera := temporary_camera(system, heard):
            with camera as process:

                def came_or_failed(heard: Heard) -> bool:
                    broken = any(name.endswith("/camera") and level > 1 for name, (level, _) in heard.health.items())
                    return bool(heard.frames.arrivals) or broken or process.poll() is not None

                seen = listen(topics, system.options.namespace, system.options.seconds, came_or_failed, CAMERA_START)
            heard = dataclasses.replace(
                heard, frames=seen.frames, health=heard.health | seen.health, temporary_camera=True
            )
        return ok("listening", f"{system.options.seconds:g} s, {len(heard.nodes)} nodes heard")

    check("listening", hear)
    for variable in changed:
        os.environ.pop(variable, None)
    os.environ.update(asked)
    return dataclasses.replace(system, heard=heard)
