"""`rig bags import`: write a dataset of another program as recorded episodes, to train from."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from rig_robot.checkpoints.checkpoint import read_config, resolve
from rig_robot.checkpoints.config import CheckpointConfig
from rig_robot.commands.options import ImportOptions
from rig_robot.common.durable_files import written_whole
from rig_robot.common.output_paths import check_folder
from rig_robot.common.package_files import locate
from rig_robot.recording import ros_bytes, topics
from rig_robot.recording.episode_reader import FORMAT
from rig_robot.recording.episode_writer import EpisodeWriter
from rig_robot.recording.lerobot_reader import CannotImport, LeRobotSource, Steps

BEGIN_NS = 1_000_000_000_000_000_000
"""Stamp of the first frame where a dataset has none (9 September 2001, which nobody takes for a recording) [ns]"""
BETWEEN_NS = 10_000_000_000
"""Between two such episodes [ns]"""
_ROLES = (topics.OBSERVATION, topics.TWIST, topics.POSE, topics.GOAL, topics.STATUS)
_TOPICS = [
    topic._replace(name=f"/{topic.name}")
    for topic in topics.recorded(("unused", "trajectory_msgs/msg/JointTrajectory"), "unused", None)
    if topic.role in _ROLES
]


def run(options: ImportOptions) -> int:
    """Write the episodes, all or none; return the exit status.

    Raises:
        ValueError: If the dataset does not fit the checkpoint, or a folder cannot be written.
    """
    if options.out.exists():
        raise ValueError(f"out is {options.out}, which exists: name a new directory")
    check_folder("out", options.out)
    checkpoint = resolve(locate(options.like))
    like = read_config(checkpoint)
    source = LeRobotSource(options.directory, like, options.image, options.unit)
    count = frames = 0
    begin = BEGIN_NS
    with written_whole(options.out) as folder:
        for steps in source.episodes():
            begin = _write(folder, steps, like, checkpoint.name, begin) + BETWEEN_NS
            count, frames = count + 1, frames + len(steps.pictures)
        if not count:
            raise CannotImport(f"{options.directory} has no episodes")
    print(f"{options.out}: {count} episodes, {frames} frames, of {options.directory} ({source.image})")
    return 0


def _write(root: Path, steps: Steps, like: CheckpointConfig, checkpoint: str, begin: int) -> int:
    """Write one episode; return the stamp of its last frame [ns]."""
    period = round(1e9 * like.action.period_s)
    count = len(steps.pictures)
    stamps = [begin + index * period for index in range(count)] if steps.stamps is None else steps.stamps.tolist()
    goal = stamps[0] - 1 if steps.goal is not None and stamps else 0
    name = f"imported_{steps.number:06d}"
    custom = {
        "rig_format": FORMAT,
        "episode": name,
        "mode": "reach" if goal else "explore",
        "goal": str(goal),
        "goal_kind": "shown" if goal else "none",
        "checkpoint": checkpoint,
        "vae": "",
        **{entry: json.dumps(asdict(getattr(like, entry))) for entry in ("camera", "action", "workspace")},
        "stack": "{}",
        "drops": "{}",
        "recovered": "false",
        "ended": "imported",
        "topics": json.dumps({topic.role: topic.name for topic in _TOPICS}),
    }
    writer = EpisodeWriter(root, name, _TOPICS, custom)

    def say(role: str, data: bytes, at: int) -> None:
        writer.write(role, data, at, at)

    if stamps:
        say(topics.STATUS, ros_bytes.status(state="moving"), stamps[0] - 1)
    if goal and steps.goal is not None:
        say(topics.GOAL, ros_bytes.image(goal, steps.goal, "goal"), goal)
    for index, stamp in enumerate(stamps):
        say(topics.OBSERVATION, ros_bytes.image(stamp, steps.pictures[index]), stamp)
        if steps.positions is not None:
            say(topics.POSE, ros_bytes.pose(stamp, *steps.positions[index].tolist()), stamp)
        along = dict(zip(like.action.axes, steps.velocities[index].tolist(), strict=True))
        velocity = (along.get(axis, 0.0) for axis in "xyz")
        say(topics.TWIST, ros_bytes.twist(stamp, *velocity), stamp)
    writer.close(custom)
    return stamps[-1] if stamps else begin
