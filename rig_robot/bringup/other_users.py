"""Talks over UDP to a robot of another user of this machine, since neither can open the other's shared memory.

Fast DDS sends through shared memory where both sides are on one machine, and does not notice that what it wrote cannot
be opened: to root, a robot of an ordinary user does not do what it is told; to an ordinary user, root's does, and the
answer is lost.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from rig_robot.bringup.environment import BUILTIN_TRANSPORTS, DDS_VARIABLES, DISCOVERY, dds_profile
from rig_robot.bringup.shared_memory import FOLDER, ports_of_others
from rig_robot.common.node_name_claim import domain

FIRST_PORT, PORTS = 7400, 250
"""DDS ports of domain 0 begin here; each domain has so many (RTPS 2.5, 9.6.2.3)."""
CURE = f"{DISCOVERY}=SUBNET {BUILTIN_TRANSPORTS}=UDPv4"
"""With this any program of ROS 2 talks past it. With LOCALHOST, rmw_fastrtps adds shared memory whatever is asked."""


def strangers(given: Mapping[str, str], folder: Path = FOLDER) -> list[str]:
    """Return the names of other users whose processes are in the ROS domain of the environment `given`, here."""
    number = domain(given)
    if not number.isdecimal():
        return []
    first = FIRST_PORT + PORTS * int(number)
    owners = {owner for port, owner in ports_of_others(folder) if first <= port < first + PORTS}
    return sorted(map(_name, owners))


def over_udp(given: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with which a visitor uses no shared memory; none where the user has chosen how to send."""
    asked = given.get(BUILTIN_TRANSPORTS, "UDPv4")
    if any(variable in given for variable in DDS_VARIABLES) or not asked.upper().startswith("UDP"):
        return {}
    if _local(given):  # it keeps to this machine this way, too
        return dds_profile("udp", {}) | {DISCOVERY: "SYSTEM_DEFAULT"}
    return {BUILTIN_TRANSPORTS: asked}


def cause(names: list[str]) -> str:
    """Return what is wrong where other users are in the domain, in words."""
    return (
        f"processes of {', '.join(names)} are in this ROS domain on this machine, and {_name(os.geteuid())} cannot "
        "share memory with another user's"
    )


def hint(given: Mapping[str, str]) -> str:
    """Return cause and cure to add to what did not work; nothing where it cannot be that."""
    names = strangers(given)
    if not names or _talks_over_udp(given):
        return ""
    return f": {cause(names)}. Be the same user, or set {CURE} and no profile of Fast DDS"


def _talks_over_udp(given: Mapping[str, str]) -> bool:
    if _local(given):
        return False
    profiles = [given[variable] for variable in DDS_VARIABLES if variable in given]
    if profiles:
        return profiles[0] in dds_profile("udp", {}).values()
    return given.get(BUILTIN_TRANSPORTS, "").upper().startswith("UDP")


def _local(given: Mapping[str, str]) -> bool:
    return given.get(DISCOVERY, "SUBNET").upper() == "LOCALHOST"


def _name(user: int) -> str:
    try:
        return f"user {pwd.getpwuid(user).pw_name}"
    except KeyError:  # a user of a container, who has no name here
        return f"user {user}"
