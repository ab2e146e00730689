"""What passes between the nodes from camera to command: where was it late when the arm stopped?"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import numpy as np
from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from sensor_msgs.msg import Image

from rig_robot.common.message_fields import stamp_s
from rig_robot.ros.qos import COMMAND, OBSERVATION

LINKS: dict[str, tuple[Any, str, Any]] = {
    "frames": (Image, "rig/observation/image", OBSERVATION),
    "latents": (Image, "rig/latent", OBSERVATION),
    "twists": (TwistStamped, "rig/policy/twist", COMMAND),
}


KEPT = 3000
"""Messages of each link: at 30 frames a second, those of 100 seconds"""


class Chain:
    """Hears the links of the chain and remembers the last of each."""

    def __init__(self, node: Node) -> None:
        self._heard: dict[str, deque[tuple[float, float]]] = {name: deque(maxlen=KEPT) for name in LINKS}
        for name, (kind, topic, qos) in LINKS.items():
            node.create_subscription(kind, topic, lambda message, name=name: self._hear(name, message), qos)

    def before(self, when: float, seconds: float = 1.5) -> str:
        """Say how late each link was in the time before a moment of the steady clock [s]."""
        told = []
        for name, heard in self._heard.items():
            recent = [(at, age) for at, age in heard if when - seconds <= at <= when]
            times = np.array([when - seconds, *(at for at, _ in recent), when])
            oldest = max((age for _, age in recent), default=float("nan"))
            told.append(f"{len(recent)} {name}, longest gap {np.diff(times).max():.2f} s, oldest {oldest:.2f} s")
        return f"within {seconds:g} s before: " + "; ".join(told)

    def _hear(self, name: str, message: Any) -> None:
        self._heard[name].append((time.monotonic(), time.time() - stamp_s(message.header.stamp)))
