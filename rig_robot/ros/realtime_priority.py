"""Lets a node run before all ordinary processes, where the system allows that."""

from __future__ import annotations

import os
from pathlib import Path

from rig_robot.ros.node import RigNode


def take_priority(node: RigNode) -> str:
    """Ask the kernel to run this process before all ordinary ones; return what the kernel allowed, in words."""
    priority = node.declare(
        "realtime_priority", 0, "SCHED_FIFO priority of this process; 0: an ordinary one.", low=0, high=98
    )
    if priority == 0:
        return "ordinary"
    try:
        for thread in Path("/proc/self/task").iterdir():  # the middleware has started its threads already
            os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, os.sched_param(priority))
    except PermissionError:
        node.get_logger().warning(
            f"realtime_priority {priority} is not allowed: add `@realtime - rtprio 98` to "
            "/etc/security/limits.d/realtime.conf and yourself to that group; goes on without"
        )
        return "ordinary, not allowed more"
    return f"SCHED_FIFO {priority}"
