"""Work that a node does in the background: its result arrives, whenever it is ready."""

import time

import rclpy
from rclpy.executors import SingleThreadedExecutor

from rig_robot.ros.node import RigNode


def test_a_result_that_is_ready_before_the_node_spins_is_not_lost() -> None:
    rclpy.init()
    try:
        node = RigNode("quick_worker")
        found: list[object] = []
        node.run_in_background(lambda: "loaded", found.append)
        time.sleep(0.3)  # the node is still being built
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        end = time.monotonic() + 30.0
        while not found and time.monotonic() < end:
            executor.spin_once(timeout_sec=0.1)
        assert found == ["loaded"]
        executor.shutdown()
        node.destroy_node()
    finally:
        rclpy.try_shutdown()
