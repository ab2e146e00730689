"""Reads a robot's task where there is no checkpoint yet: its camera, its actions and its workspace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from rig_robot.checkpoints.checkpoint import ActionEntry, CameraEntry, CheckpointError, WorkspaceEntry, parse

SECTION = "task"
"""Where it stands in a configuration file, beside the nodes."""


class TaskError(ValueError):
    """A configuration does not say what the task is; the text names the entry and what would be right."""


@dataclass(frozen=True)
class Task:
    """What a checkpoint says beside its networks. It must be known before a robot's first picture is taken."""

    camera: CameraEntry
    action: ActionEntry
    workspace: WorkspaceEntry


def read_task(file: Path) -> Task:
    """Read the section `task` of a configuration: the entries `camera`, `action` and `workspace` of a checkpoint.

    Raises:
        TaskError: If there is none, or an entry is missing or not what it must be.
    """
    try:
        content = yaml.safe_load(file.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise TaskError(f"configuration {file}: {error}") from None
    section = content.get(SECTION) if isinstance(content, dict) else None
    if section is None:
        raise TaskError(
            f"configuration {file} has no section {SECTION}: to learn from nothing, say in it what the camera sees and "
            "how the tool moves (config/robot.yaml shows how), or name a checkpoint to go on from"
        )
    try:
        task: Task = parse(Task, section, f"{file}: {SECTION}")
    except CheckpointError as error:
        raise TaskError(str(error)) from None
    return task
