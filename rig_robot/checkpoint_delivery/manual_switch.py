"""Makes a checkpoint current for `rig checkpoints`, and has a running system replace its networks."""

from __future__ import annotations

import time
from pathlib import Path

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from rig_robot.checkpoint_delivery.announcer import Announcer
from rig_robot.checkpoint_delivery.answers import Outcome
from rig_robot.ros.node import RigNode
from rig_robot.ros.startup_errors import startup_errors

DISCOVERY_TIME = 1.5
"""Time that a running system gets to be discovered [s]."""


def switch(root: Path, name: str, namespace: str, timeout: float) -> Outcome:
    """Make a checkpoint current, and have a running system replace its networks.

    Args:
        root: Root of checkpoints.
        name: Name of the checkpoint in it.
        namespace: ROS namespace of the robot.
        timeout: Time that a running system gets to answer [s].

    Raises:
        CheckpointError: If the checkpoint is not whole or does not work; nothing has changed then.
    """
    arguments = ["--ros-args", "--remap", f"__ns:=/{namespace.strip('/')}"] if namespace.strip("/") else []
    with startup_errors():
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)  # Ctrl-C is the command line's
    try:
        node = RigNode("rig_checkpoints_command")
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        announcer = Announcer(node, root)
        outcomes: list[Outcome] = []

        def spin(seconds: float) -> None:
            end = time.monotonic() + seconds
            while time.monotonic() < end and not outcomes:
                executor.spin_once(timeout_sec=0.05)

        spin(DISCOVERY_TIME)
        announcer.announce(name, outcomes.append, timeout)
        spin(timeout + 2.0)
        end = time.monotonic() + 0.3  # where the announcement was rolled back, that one must still go out
        while time.monotonic() < end:
            executor.spin_once(timeout_sec=0.05)
        executor.shutdown()
        node.destroy_node()
    finally:
        rclpy.try_shutdown()
    return outcomes[0] if outcomes else Outcome(False, f"{name}: no answer within {timeout:g} s")
