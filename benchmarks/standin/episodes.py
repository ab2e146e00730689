"""Episodes as a robot would record them, without one: messages as bytes, and a writer that takes them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from rig_robot.checkpoints.config import ActionEntry, CameraEntry, WorkspaceEntry
from rig_robot.recording import topics
from rig_robot.recording.episode_writer import EpisodeWriter
from rig_robot.recording.ros_bytes import cdr, header, image, pose, status, twist
from rig_robot.recording.topics import Topic

CAMERA = CameraEntry(640, 480, (0.125, 0.0, 0.75, 1.0), 16)
ACTION = ActionEntry(("x", "y"), 0.02, 0.1, {"z": 0.15}, (0.0, 1.0, 0.0, 0.0))
WORKSPACE = WorkspaceEntry((0.45, -0.2, 0.15), (0.75, 0.2, 0.15))
BEGIN = 1_700_000_000_000_000_000
PERIOD = 100_000_000
COMMAND = ("joint_trajectory_controller/joint_trajectory", "trajectory_msgs/msg/JointTrajectory")
TOPICS = [
    topic._replace(name=f"/{topic.name}")
    for topic in topics.recorded(COMMAND, "joint_states", ("camera/image_raw", "sensor_msgs/msg/Image"))
]


def about(name: str = "E", topics_: list[Topic] = TOPICS, **other: str) -> dict[str, str]:
    """What an episode says of itself."""
    return {
        "rig_format": "1",
        "episode": name,
        "mode": "reach",
        "goal": str(BEGIN - 1),
        "goal_kind": "shown",
        "checkpoint": "sawyer",
        "vae": "0badcafe",
        "camera": json.dumps(asdict(CAMERA)),
        "action": json.dumps(asdict(ACTION)),
        "workspace": json.dumps(asdict(WORKSPACE)),
        "stack": "{}",
        "drops": "{}",
        "recovered": "false",
        "ended": "",
        "topics": json.dumps({topic.role: topic.name for topic in topics_}),
    } | other


def latent(stamp: int, mean: list[float], vae: str = "0badcafe") -> bytes:
    rows = np.stack((np.array(mean, "<f4"), np.zeros(len(mean), "<f4")))
    layout = {"height": 2, "width": len(mean), "encoding": "32FC1", "is_bigendian": 0, "step": 4 * len(mean)}
    data = np.frombuffer(rows.tobytes(), np.uint8)
    return cdr("sensor_msgs/msg/Image", header=header(stamp, f"vae/{vae}"), **layout, data=data)


class Recording:
    """An episode under way."""

    def __init__(self, root: Path, name: str = "E", **other: str) -> None:
        root.mkdir(exist_ok=True)
        self.custom = about(name, **other)
        self.writer = EpisodeWriter(root, name, TOPICS, self.custom)
        self.say(topics.STATUS, status(state="moving"), BEGIN - 1)

    def say(self, role: str, data: bytes, at: int) -> None:
        self.writer.write(role, data, at, at)

    def step(self, number: float, x: float = 0.1, size: int = 16) -> int:
        """One step of the policy: its frame, a latent, where the tool is, and the twist; gives its stamp."""
        stamp = BEGIN + round(number * PERIOD)
        self.say(topics.OBSERVATION, image(stamp, picture(round(number), size)), stamp + 10**6)
        self.say(topics.LATENT, latent(stamp, [number, 0.0]), stamp + 2 * 10**6)
        self.say(topics.POSE, pose(stamp + 3 * 10**6, 0.5, 0.01 * number, 0.15), stamp + 3 * 10**6)
        self.say(topics.TWIST, twist(stamp, x, -0.2), stamp + 4 * 10**6)
        return stamp

    def close(self, **other: str) -> Path:
        return self.writer.close(self.custom | other)


def picture(seed: int, size: int = 16) -> np.ndarray:
    """uint8 [size, size, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def write(root: Path, name: str = "E", steps: int = 5, **other: str) -> Path:
    """A whole episode of so many twists."""
    recording = Recording(root, name, **other)
    for number in range(steps):
        recording.step(number)
    return recording.close()
