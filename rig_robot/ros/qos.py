"""Defines the QoS profiles of the topics, one for each way in which messages matter."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

OBSERVATION = QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Streams of images and latents: only the newest message counts.

Not depth 1: Fast DDS then never frees the memory of a sample that arrives while the sample before is being taken. On a
busy computer, a node that receives camera frames grew by a megabyte a second; at depth 2 it does not, and fewer frames
are lost.
"""

STATE = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Measured state of the arm (sensor data)."""

JOINT_STATES = QoSProfile(depth=20, reliability=ReliabilityPolicy.BEST_EFFORT)
"""The same for a reader that polls: so many messages wait for it, by which it learns how often they come."""

COMMAND = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
"""Twists, trajectories, heartbeat: each message must arrive, none may wait in a queue."""

LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""Goal, status: a late subscriber receives the last message."""

EPISODES = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""Episodes and answers to checkpoints: several come at once, such as the end of an episode and the next start."""

ANSWERS = QoSProfile(depth=200, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""The answer to one's own request, on a topic where others are answered, too: theirs must not push it out."""
