"""Claims the full name of a node, so that it exists once in a ROS domain on one machine.

A claim is a socket of the node's name, without a file: the kernel closes it however the process ends, so another
process knows at once whether the node is alive. DDS discovery may take three seconds.
"""

from __future__ import annotations

import errno
import hashlib
import os
import socket
from collections.abc import Mapping


class NameTaken(ValueError):
    """Another node of this name is alive on this machine; the text says how to keep the two apart."""


def claim(name: str, environment: Mapping[str, str] = os.environ) -> socket.socket:
    """Claim a node's full name on this machine for as long as the returned socket is open.

    Raises:
        NameTaken: If another node has it.
    """
    claimed = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claimed.bind(_address(name, environment))
    except OSError as error:
        claimed.close()
        if error.errno != errno.EADDRINUSE:
            raise
        raise NameTaken(
            f"another node is named {name} in ROS domain {domain(environment)} on this machine: stop it, or give one "
            f"of the two systems a namespace or a domain of its own (ROS_DOMAIN_ID={other_domain(environment)})"
        ) from None
    return claimed


def domain(environment: Mapping[str, str]) -> str:
    """Return the ROS domain of an environment."""
    return environment.get("ROS_DOMAIN_ID") or "0"


def other_domain(environment: Mapping[str, str]) -> int:
    """Return a domain to suggest; ports of domains above 101 collide with those that Linux assigns by itself."""
    own = domain(environment)
    return int(own) + 1 if own.isdecimal() and int(own) < 101 else 1


def _address(name: str, environment: Mapping[str, str]) -> str:
    """Return the address of a node's claim, a socket without a file; Linux allows 107 characters."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"\0rig_robot/{domain(environment)}/{digest}{name[-60:]}"


def is_claimed(name: str, environment: Mapping[str, str]) -> bool:
    """Return whether a node of this full name is alive on this machine."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(_address(name, environment))
        except OSError:
            return False
        return True
