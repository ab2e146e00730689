"""QoS profiles of the topics."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

OBSERVATION = QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Images of a stream and what is made of them: only the newest counts.

Not depth 1: Fast DDS then never gives back the memory of a sample that arrives while the one before is being taken.
On a busy computer, a node that takes in camera frames grew by a megabyte a second; at depth 2 it does not, and fewer
are lost.
"""

STATE = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Arm state (sensor data)."""

COMMAND = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
"""Twists, trajectories, heartbeat: each must arrive, none may queue."""

LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""Goal, episode, status: who comes late hears the last one."""

EPISODES = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""Episodes, and answers to a new checkpoint: the end of one and the start of the next come back to back."""
