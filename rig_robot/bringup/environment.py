"""Sets the environment variables of the nodes: ROS domain, DDS profiles, threads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from rig_robot.common.package_files import share

SIMULATION_DOMAIN = "77"
"""ROS domain of simulations, unless the user has set ROS_DOMAIN_ID: they must not meet a real robot's topics."""

FAST_DDS = "rmw_fastrtps_cpp"
"""The middleware that the profiles are for, and ROS 2's own choice"""
DDS_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""Where Fast DDS 3 (Kilted) and 2 (Jazzy) look for their profile."""
BUILTIN_TRANSPORTS, DISCOVERY = "FASTDDS_BUILTIN_TRANSPORTS", "ROS_AUTOMATIC_DISCOVERY_RANGE"
"""By which transports Fast DDS sends where no profile says so; whom ROS 2 looks for."""
ELSEWHERE = ("ROS_STATIC_PEERS", "ROS_DISCOVERY_SERVER")
"""With these ROS 2 finds nodes of other machines wherever it looks for them."""


def quiet_threads(given: Mapping[str, str]) -> dict[str, str]:
    """Return variables that give each process one thread for its arithmetic: more would starve the other nodes."""
    wanted = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return {name: value for name, value in wanted.items() if name not in given}


def dds_profile(name: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that choose a Fast DDS profile: `camera`, `composed`, `composed_camera`, `small` or `udp`.

    None where the user has set one, or has said by which transports to send, which a profile would override. Where
    `given` keeps to this machine (LOCALHOST), the profile does so itself: rmw_fastrtps would give each process a second
    shared memory beside the profile's, whose ports the two dispute, and a process killed meanwhile may leave others
    deaf (docs/architecture.md, "Shared memory").
    """
    if any(variable in given for variable in (*DDS_VARIABLES, BUILTIN_TRANSPORTS)):
        return {}
    if given.get(DISCOVERY) == "LOCALHOST" and not any(given.get(variable) for variable in ELSEWHERE):
        return {_dds_variable(): str(share("config", "dds", "local", f"{name}.xml")), DISCOVERY: "SYSTEM_DEFAULT"}
    return {_dds_variable(): str(share("config", "dds", f"{name}.xml"))}


def hears_only_others(given: Mapping[str, str]) -> bool:
    """Return whether a process of this environment does not hear by DDS what it publishes itself: a composed one's."""
    folders, names = (("dds",), ("dds", "local")), ("composed", "composed_camera")
    profiles = [str(share("config", *folder, f"{name}.xml")) for folder in folders for name in names]
    return given.get(_dds_variable()) in profiles and given.get("RMW_IMPLEMENTATION", FAST_DDS) == FAST_DDS


def _dds_variable() -> str:
    """Return where this ROS 2's Fast DDS looks for its profile: version 3 reads both, but complains of the old one."""
    try:
        jazzy = int(version("rclpy").split(".")[0]) < 9
    except PackageNotFoundError:
        jazzy = False
    return DDS_VARIABLES[jazzy]


def simulation_environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return variables that keep a simulation to this machine and in a domain of its own, where the user set none."""
    given = os.environ if given is None else given
    wanted = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_DOMAIN_ID": SIMULATION_DOMAIN}
    return {name: value for name, value in wanted.items() if name not in given}
