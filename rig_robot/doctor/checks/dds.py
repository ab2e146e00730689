"""Checks the middleware: its profile, its shared memory, and which other nodes are in the ROS domain."""

from __future__ import annotations

import os
import shutil
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

from rig_robot.bringup.environment import BUILTIN_TRANSPORTS, DDS_VARIABLES, SIMULATION_DOMAIN, dds_profile
from rig_robot.bringup.node_spec import NodeSpec
from rig_robot.bringup.other_users import CURE, cause, over_udp, strangers
from rig_robot.bringup.shared_memory import FOLDER, orphans
from rig_robot.doctor.check_result import Finding, fail, ok, warn
from rig_robot.doctor.examined_system import ExaminedSystem, domain
from rig_robot.doctor.heard import full_name

DEFAULT_SEGMENT = 512 * 1024
"""Size of Fast DDS's shared-memory segment without a profile [bytes]."""
FRAMES = 4
"""Frames that a segment must hold: one being written, one in flight, one being read, one to spare."""
OVERHEAD = 1.07
"""Size of a segment in /dev/shm, relative to its nominal size (34 MiB measured for 32)."""


def profile(system: ExaminedSystem) -> Finding:
    """Check whether the processes that send frames have a segment that frames fit into."""
    name = "DDS profile"
    implementation = system.heard.implementation or os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    if not implementation.startswith("rmw_fastrtps"):
        return warn(
            name,
            f"{implementation}: the profiles of config/dds are Fast DDS's and say nothing to it",
            "tried with rmw_fastrtps_cpp only: unset RMW_IMPLEMENTATION, or see to large messages yourself (Cyclone: "
            "iceoryx, or larger socket buffers)",
        )
    frame = 3 * system.trained.camera.width * system.trained.camera.height
    variable = next((variable for variable in DDS_VARIABLES if variable in os.environ), None)
    file = Path(os.environ[variable] if variable else next(iter(dds_profile("camera", {}).values())))
    whose = f"yours ({variable})" if variable else "the package's (config/dds), for nodes that `rig` starts"
    try:
        segment = segment_size(file)
    except (OSError, ElementTree.ParseError) as error:
        return fail(
            name,
            f"{implementation}, profile {whose}: {file}: {error}",
            f"name a file that is there and is XML, or unset {variable}",
        )
    found = (
        f"{implementation}, profile {whose}: segments of {segment / 2**20:.1f} MiB, a frame has {frame / 2**20:.2f} MiB"
    )
    if segment < FRAMES * frame:
        return fail(
            name,
            f"{found}: frames would be lost",
            f"set segment_size to {FRAMES * frame} or more in {file}, or unset {variable}: with the default segment "
            "a third to a half of all 640x480 frames is lost",
        )
    if system.source == "topic" and not system.options.sim and not variable:
        # Another program starts the driver, and its environment is not known here.
        return ok(name, f"{found}; start your camera's driver with {next(iter(dds_profile('camera', {})))}={file} too")
    return ok(name, found)


def segment_size(file: Path) -> int:
    """Return the size [bytes] of the largest shared-memory segment that a Fast DDS profile asks for."""
    sizes = []
    for transport in ElementTree.parse(file).iter():
        if transport.tag.split("}")[-1] != "transport_descriptor":
            continue
        entries = {child.tag.split("}")[-1]: (child.text or "").strip() for child in transport}
        if entries.get("type") == "SHM" and entries.get("segment_size", "").isdigit():
            sizes.append(int(entries["segment_size"]))
    return max(sizes, default=DEFAULT_SEGMENT)


def shared_memory(system: ExaminedSystem, folder: Path = FOLDER) -> Finding:
    """Check whether the system's segments fit into /dev/shm."""
    name = "shared memory"
    needed = _taken(system.nodes)
    usage = shutil.disk_usage(folder)
    running = [node for node in system.nodes if system.heard.runs(node.name, node.namespace)]
    missing = needed - _taken(running)
    found = (
        f"{folder}: {usage.free / 2**20:.0f} of {usage.total / 2**20:.0f} MiB free; the nodes take {needed / 2**20:.0f}"
    )
    if usage.free < missing:
        return fail(
            name,
            found,
            f"make room: docker run --shm-size={max(256, round(2 * needed / 2**20))}m, or sudo mount -o "
            f"remount,size=1G {folder}; without it the nodes fall back to UDP and lose frames",
        )
    return ok(name, found)


def _taken(nodes: list[NodeSpec]) -> float:
    """Return the size of nodes' segments in /dev/shm [bytes], with the package's profiles."""
    large, small = (segment_size(Path(*dds_profile(name, {}).values())) for name in ("camera", "small"))
    senders = sum(node.sends_frames for node in nodes)
    return OVERHEAD * (senders * large + (len(nodes) - senders) * small)


def orphaned_memory(folder: Path = FOLDER) -> Finding:
    """Check whether dead processes have left shared memory."""
    name = "orphaned memory"
    files = [file for file in orphans(folder) if file.exists()]
    size = sum(file.stat().st_size for file in files)
    if not files:
        return ok(name, "nothing of dead processes in shared memory")
    return warn(
        name,
        f"{len(files)} files of dead processes, {size / 2**20:.0f} MiB, in {folder}",
        "python -m rig_robot.bringup.shared_memory takes it back (so does the next `rig robot` or `rig sim`)",
    )


def users(system: ExaminedSystem) -> Finding:
    """Check whether the processes of the domain can share memory with this one."""
    name = "users"
    names = strangers(os.environ)
    if not names:
        return ok(name, "no other user's processes on this machine are in the ROS domain")
    if over_udp(os.environ):
        found = f"{cause(names)}; listened over UDP"
    else:
        found = f"{cause(names)}; listened as {' '.join(_transports())} says"
    return warn(
        name,
        found,
        f"run both as the same user, or start programs of ROS 2 on one side with {CURE}: otherwise requests or answers "
        "are lost without a word (rig tell, watch and goal see to it themselves)",
    )


def _transports() -> list[str]:
    return [f"{name}={os.environ[name]}" for name in (*DDS_VARIABLES, BUILTIN_TRANSPORTS) if name in os.environ]


def domain_nodes(system: ExaminedSystem) -> Finding:
    """Check which nodes are in the ROS domain, and whether any is there twice."""
    name = "ROS domain"
    reach = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET").upper()
    heard = system.heard
    ours = {full_name(node.name, node.namespace) for node in system.nodes}
    others = sorted(set(heard.nodes) - ours)
    found = f"domain {domain()}, discovery {reach}; {len(set(heard.nodes) & ours)} of our nodes"
    found += f", others: {', '.join(others)}" if others else ", nobody else"
    if twice := sorted(node for node, count in Counter(heard.nodes).items() if count > 1):
        return fail(
            name,
            f"{found}; more than once: {', '.join(twice)}",
            "end the other system, or give each its own ROS_DOMAIN_ID or --namespace: two arm nodes fight over one arm",
        )
    if elsewhere := _other_domains(system):
        return warn(
            name,
            f"{found}; nodes of rig_robot run in domain {', '.join(elsewhere)}",
            f"look at those: ROS_DOMAIN_ID={elsewhere[0]} rig doctor ..." + _hint(elsewhere),
        )
    if not system.options.sim and domain() == SIMULATION_DOMAIN:
        return warn(
            name,
            f"{found}; that is the domain of simulations",
            f"give the robot another ROS_DOMAIN_ID than {SIMULATION_DOMAIN}: a simulation would hear its commands",
        )
    return ok(name, found)


def _hint(domains: list[str]) -> str:
    return "; --sim for a simulation" if SIMULATION_DOMAIN in domains else ""


def _other_domains(system: ExaminedSystem) -> list[str]:
    """Return the other domains in which processes of this machine run our nodes, where none runs in ours."""
    if any(system.heard.runs(node.name, node.namespace) for node in system.nodes):
        return []
    domains = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if b"--ros-args" not in command or b"rig_" not in command:
                continue
            environment = (process / "environ").read_bytes().split(b"\0")
        except OSError:  # it has ended, or is another user's
            continue
        values = dict(entry.split(b"=", 1) for entry in environment if b"=" in entry)
        domains.add(values.get(b"ROS_DOMAIN_ID", b"0").decode() or "0")
    return sorted(domains - {domain()})


def simulated_time(system: ExaminedSystem) -> Finding:
    """Check whether all nodes use the same clock."""
    name = "use_sim_time"
    told = {
        node: bool(values["use_sim_time"])
        for node, values in system.heard.parameters.items()
        if "use_sim_time" in values
    }
    clocks = [endpoint.node for endpoint in system.heard.publishers.get("/clock", [])]
    by_clock = sorted(node for node, value in told.items() if value)
    by_time = sorted(node for node, value in told.items() if not value)
    clock = f"/clock from {', '.join(clocks)}" if clocks else "nobody publishes /clock"
    if by_clock and by_time:
        return fail(
            name,
            f"true for {', '.join(by_clock)}; false for {', '.join(by_time)}; {clock}",
            "set it alike for all: every message of the one group is stale, or from the future, to the other",
        )
    if by_clock and not clocks:
        return fail(
            name, f"true for all nodes, but {clock}", "time stands still: start what publishes it, or set false"
        )
    if by_time and clocks:
        return warn(
            name,
            f"false for all nodes, but {clock}",
            "set use_sim_time: true for all where stamps are of that clock (rosbag2 play --clock, a simulator)",
        )
    if not told:
        configured = any(node.parameters.get("use_sim_time") for node in system.nodes)
        if configured != bool(clocks):
            return warn(name, f"not running; configured {configured}; {clock}", "make the two fit before you start")
        return ok(name, f"not running; configured {configured}; {clock}")
    return ok(name, f"{bool(by_clock)} for all {len(told)} nodes; {clock}")
