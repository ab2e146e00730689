"""Defines the topics that an episode holds: name, message type and manner of each."""

from __future__ import annotations

from typing import Literal, NamedTuple

Manner = Literal["stream", "state", "command", "latched"]
"""How a topic is published: it determines the QoS (docs/nodes.md)."""

OBSERVATION, LATENT, TWIST, POSE = "rig/observation/image", "rig/latent", "rig/policy/twist", "rig/ee_pose"
GOAL, GOAL_LATENT, RECONSTRUCTION = "rig/goal/image", "rig/goal/latent", "rig/goal/reconstruction"
STATUS, EPISODE = "rig/arm/status", "rig/episode"
CAMERA, COMMAND, JOINTS = "camera", "command", "joint_states"

_IMAGE, _STATUS = "sensor_msgs/msg/Image", "diagnostic_msgs/msg/DiagnosticStatus"


class Topic(NamedTuple):
    """A recorded topic."""

    role: str
    """its relative name, or `camera`, `command`, `joint_states` for topics whose names differ between systems"""
    name: str
    """its name in the recorded system"""
    type: str
    manner: Manner


def recorded(command: tuple[str, str], joints: str, camera: tuple[str, str] | None) -> list[Topic]:
    """Return the recorded topics of a system, their names still relative.

    Args:
        command: Topic and type of the arm's commands.
        joints: Topic of the joint states.
        camera: Topic and type of the camera's pictures as they are recorded, or None.
    """
    fixed: list[tuple[str, str, Manner]] = [
        # Twists before episodes: where both wait, the last twist of an episode is then taken before the episode's end.
        (TWIST, "geometry_msgs/msg/TwistStamped", "command"),
        (OBSERVATION, _IMAGE, "stream"),
        (LATENT, _IMAGE, "stream"),
        (GOAL, _IMAGE, "latched"),
        (GOAL_LATENT, _IMAGE, "latched"),
        (RECONSTRUCTION, _IMAGE, "latched"),
        (POSE, "geometry_msgs/msg/PoseStamped", "state"),
        (STATUS, _STATUS, "latched"),
        ("rig/checkpoint", "std_msgs/msg/String", "latched"),
        ("rig/checkpoint/ready", _STATUS, "latched"),
        (EPISODE, _STATUS, "latched"),
    ]
    topics = [Topic(name, name, kind, manner) for name, kind, manner in fixed]
    topics.append(Topic(COMMAND, *command, "command"))
    topics.append(Topic(JOINTS, joints, "sensor_msgs/msg/JointState", "state"))
    if camera is not None:
        topics.append(Topic(CAMERA, *camera, "stream"))
    return topics
