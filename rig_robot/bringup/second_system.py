"""Keeps two systems of the same names apart: in one ROS domain, the goals of one would arm the arm of the other.

Nodes on this machine are known at once, by the claims to their names; those on others by DDS discovery only.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from rig_robot.bringup.environment import DISCOVERY, ELSEWHERE, dds_profile
from rig_robot.bringup.node_spec import BringupError, NodeSpec
from rig_robot.common.node_name_claim import domain, is_claimed, other_domain

LOOK = 3.5
"""How long to listen for nodes on other machines [s]: a participant that missed us announces itself every 3 s."""
PATIENCE = 60.0
"""How long that may take on a busy machine [s]."""


def refuse_company(nodes: Sequence[NodeSpec], environment: Mapping[str, str], set_namespace: str) -> None:
    """Make sure that no node of these names is alive where they are about to start.

    Args:
        nodes: What is about to start.
        environment: The environment that the nodes will have.
        set_namespace: How a person gives the system a namespace, for the message.

    Raises:
        BringupError: Names the nodes that are, and says how to keep the two systems apart; or why nobody could look.
    """
    single = [node for process in nodes for node in process.nodes]
    names = [f"/{node.namespace}/{node.name}" if node.namespace else f"/{node.name}" for node in single]
    alive = [name for name in names if is_claimed(name, environment)]
    if not alive and not _keeps_to_this_machine(environment):
        alive = _discovered(names, environment, nodes[-1].security(environment))
    if alive:
        raise BringupError(
            f"not started: ROS domain {domain(environment)} already has nodes of these names: {', '.join(alive)}. "
            f"Stop that system, or give this one a namespace ({set_namespace}) or a domain of its own "
            f"(ROS_DOMAIN_ID={other_domain(environment)})"
        )


def _keeps_to_this_machine(environment: Mapping[str, str]) -> bool:
    local = environment.get(DISCOVERY) in ("LOCALHOST", "OFF")
    return local and not any(environment.get(variable) for variable in ELSEWHERE)


def _discovered(names: Sequence[str], environment: Mapping[str, str], security: Sequence[str]) -> list[str]:
    """Return those of the names that nodes have, on this machine or another one; asked in a process of its own.

    Whoever starts the nodes has loaded no ROS, or another domain's.
    """
    look = subprocess.run(
        [sys.executable, "-m", "rig_robot.bringup.second_system", *names, "--ros-args", *security],
        env={**environment, **dds_profile("small", environment)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if look.returncode != 0:
        why = (look.stderr.strip().splitlines() or [f"status {look.returncode}"])[-1]
        raise BringupError(f"cannot look for other systems in this ROS domain: {why}")
    return look.stdout.split()


def main() -> None:
    """Print those of the names on the command line that nodes in this ROS domain have."""
    import rclpy
    from rclpy.utilities import remove_ros_args

    names = set(remove_ros_args(sys.argv)[1:])
    try:
        rclpy.init(args=sys.argv)
        node = rclpy.create_node(f"rig_company_{os.getpid()}", enable_rosout=False, start_parameter_services=False)
    except RuntimeError as error:  # rcl's: a peer that is not there, a keystore without keys for this node
        sys.exit(" ".join(str(error).split()))
    end = time.monotonic() + LOOK
    alive: set[str] = set()
    while time.monotonic() < end:
        found = names & set(node.get_fully_qualified_node_names())
        if found and not alive:
            end = time.monotonic() + 0.5  # the others of that system are about to be discovered, too
        alive = found
        time.sleep(0.1)
    node.destroy_node()
    rclpy.shutdown()
    print(*sorted(alive), flush=True)


if __name__ == "__main__":
    main()
