"""Are nodes of a system's names alive already in its ROS domain? Then another system would mix with it.

Two systems that share names answer each other's services: the goals of one would arm the arm of the other. Asked in a
process of its own, since whoever starts the nodes has loaded no ROS, or another domain's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from rig_robot.bringup import BringupError, NodeSpec, dds_profile

LOOK = 1.0
"""How long to listen for other nodes [s]; on this machine they answer within a tenth or two."""
PATIENCE = 60.0
"""How long the look may take on a busy machine [s]."""


def refuse_company(nodes: Sequence[NodeSpec], environment: Mapping[str, str], set_namespace: str) -> None:
    """Make sure that no node of these names is alive where they are about to start.

    Args:
        nodes: What is about to start.
        environment: The environment that the nodes will have.
        set_namespace: How a person gives the system a namespace, for the message.

    Raises:
        BringupError: Names the nodes that are, and says how to keep the two systems apart; or why nobody could look.
    """
    names = [f"/{node.namespace}/{node.name}" if node.namespace else f"/{node.name}" for node in nodes]
    arguments = [sys.executable, "-m", "rig_robot.company", *names, "--ros-args", *nodes[-1].security(environment)]
    look = subprocess.run(
        arguments,
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
    if alive := look.stdout.split():
        domain = environment.get("ROS_DOMAIN_ID", "0")
        other = int(domain) + 1 if domain.isdecimal() and int(domain) < 101 else 1
        raise BringupError(
            f"not started: ROS domain {domain} already has nodes of these names, {', '.join(alive)}. Stop that system, "
            f"or give this one a namespace ({set_namespace}) or a domain of its own (ROS_DOMAIN_ID={other})"
        )


def main() -> None:
    """Print those of the names on the command line that nodes in this ROS domain have."""
    import rclpy
    from rclpy.utilities import remove_ros_args

    names = set(remove_ros_args(sys.argv)[1:])
    rclpy.init(args=sys.argv)
    node = rclpy.create_node(f"rig_company_{os.getpid()}", enable_rosout=False, start_parameter_services=False)
    end = time.monotonic() + LOOK
    alive: set[str] = set()
    while time.monotonic() < end:
        if found := names & set(node.get_fully_qualified_node_names()):
            if found == alive:  # heard of all, or of nobody new for a while
                break
            alive = found
            end = max(end, time.monotonic() + 0.3)
        time.sleep(0.15)
    node.destroy_node()
    rclpy.shutdown()
    print(*sorted(alive), flush=True)


if __name__ == "__main__":
    main()
