"""Does a program that dies while it listens to the robot hold the robot up?

    python benchmarks/killed_reader.py --seconds 150

Runs `rig sim`, and beside it programs that listen to camera frames, joint states and the tool's pose, and are killed
(SIGKILL) after half a second or so, again and again. A reader of Fast DDS's shared memory that dies at the wrong moment
leaves a lock behind, which holds up whoever sends to it until the lock times out. Printed are the gaps above 0.2 s in
the joint states, which come a hundred times a second, and in the tool's pose, as another program hears them. `--udp`
kills programs that listen by UDP alone. The last line is one JSON object: kills, and the longest gaps [s].
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import tyro
from standin.system import Process

from rig_robot.bringup.environment import DISCOVERY, dds_profile

DOMAIN = "98"
"""ROS domain, where the user has set none."""
GAP = 0.2
"""Shortest gap that is told [s]."""
LIFE = (0.3, 0.8)
"""Shortest and longest time that a program listens before it is killed [s]."""
READER = """
import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, JointState
rclpy.init()
node = rclpy.create_node("reader")
qos = QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)
for kind, topic in ((Image, "camera/image_raw"), (JointState, "joint_states"), (PoseStamped, "rig/ee_pose")):
    node.create_subscription(kind, topic, lambda _: None, qos)
print("listens", flush=True)
rclpy.spin(node)
"""


@dataclass
class Args:
    seconds: float = 150.0
    """How long programs are killed."""
    readers: int = 2
    """Programs at a time."""
    udp: bool = False
    """Whether they listen by UDP alone."""


class Killer:
    """Starts readers and kills them, each in turn, until it is told to stop."""

    def __init__(self, args: Args) -> None:
        self.kills, self._over = 0, threading.Event()
        self._environment = os.environ | (dds_profile("udp", {}) | {DISCOVERY: "SYSTEM_DEFAULT"} if args.udp else {})
        self._threads = [threading.Thread(target=self._kill, args=(number,)) for number in range(args.readers)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _kill(self, seed: int) -> None:
        chance = random.Random(seed)
        while not self._over.is_set():
            with subprocess.Popen(
                [sys.executable, "-c", READER], env=self._environment, stdout=subprocess.PIPE
            ) as reader:
                assert reader.stdout is not None
                reader.stdout.readline()
                time.sleep(chance.uniform(*LIFE))
                reader.kill()
            self.kills += 1


class Gaps:
    """Hears joint states and poses, and notes the longest times between two."""

    def __init__(self) -> None:
        import rclpy
        from geometry_msgs.msg import PoseStamped
        from rclpy.executors import SingleThreadedExecutor
        from sensor_msgs.msg import JointState

        from rig_robot.ros.qos import STATE

        rclpy.init()
        self._node, self._executor = rclpy.create_node("killed_reader"), SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self.longest: dict[str, float] = {}
        self._last: dict[str, float] = {}
        for kind, topic in ((JointState, "joint_states"), (PoseStamped, "rig/ee_pose")):
            self._node.create_subscription(kind, topic, lambda _, topic=topic: self._hear(topic), STATE)

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.02)

    def forget(self) -> None:
        """Forget the gaps of the start."""
        self.longest.clear()

    def close(self) -> None:
        import rclpy

        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown()

    def _hear(self, topic: str) -> None:
        now = time.monotonic()
        gap = now - self._last.get(topic, now)
        self._last[topic] = now
        self.longest[topic] = max(gap, self.longest.get(topic, 0.0))
        if gap > GAP:
            print(f"no {topic} for {gap:.2f} s", flush=True)


def main(args: Args) -> None:
    for name, value in (("ROS_DOMAIN_ID", DOMAIN), (DISCOVERY, "LOCALHOST")):
        os.environ.setdefault(name, value)
    system = Process(["-m", "rig_robot.cli", "sim", "--no-page", "--goals", "-1"], {})
    os.environ.update(dds_profile("small", os.environ))  # after the system's start: each node gets its own
    gaps, killer = Gaps(), None
    try:
        gaps.spin(10.0)
        gaps.forget()
        killer = Killer(args)
        gaps.spin(args.seconds)
    finally:
        if killer is not None:
            killer.stop()
        gaps.close()
        system.stop()
    longest = {topic: round(gap, 2) for topic, gap in gaps.longest.items()}
    print(json.dumps({"kills": killer.kills, "udp": args.udp, "longest_gap_s": longest}))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
