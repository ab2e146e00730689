"""Reads a robot's task where there is no checkpoint yet: its camera, its actions and its workspace."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from rig_robot.checkpoints.config import ActionEntry, CameraEntry, WorkspaceEntry
from rig_robot.common.crop import wrong_crop
from rig_robot.common.task_names import TaskName
from rig_robot.common.yaml_reader import Document, Place, YamlError, read_yaml
from rig_robot.common.yaml_schema import mapping, structure

SECTION = "task"
"""Where it stands in a configuration file, beside the nodes."""
PUSH = "push"
"""Section of a configuration: what is different where objects are pushed, parameters of nodes and the task"""

SPACE = (0.12, 0.37)
"""Lowest and highest place of the simulated tool in space [m]"""


class TaskError(ValueError):
    """A configuration does not say what the task is; the text names the entry and what would be right."""


@dataclass(frozen=True)
class Task:
    """What a checkpoint says beside its networks. It must be known before a robot's first picture is taken."""

    camera: CameraEntry
    action: ActionEntry
    workspace: WorkspaceEntry


def read_task(file: Path, task: TaskName = "reach") -> Task:
    """Read the section `task` of a configuration: the entries `camera`, `action` and `workspace` of a checkpoint.

    For pushing that is the section `task` in the section `push`.

    Raises:
        TaskError: If there is none, or an entry is missing or not what it must be.
    """
    try:
        document = read_yaml(file, f"configuration {file}")
        content = mapping(document, (), document.value)
        at: Place = (SECTION,)
        if task == "push":
            at, content = (PUSH, SECTION), mapping(document, (PUSH,), content.get(PUSH, {}))
        section = content.get(SECTION)
        if section is None:
            raise TaskError(
                f"configuration {file} has no section {'.'.join(map(str, at))}: to learn from nothing, say in it "
                "what the camera sees and how the tool moves (config/robot.yaml shows how), or name a checkpoint to go "
                "on from"
            )
        found: Task = structure(document, at, section, Task)
        _check(document, at, found)
    except YamlError as error:
        raise TaskError(str(error)) from None
    return found


def in_space(task: Task) -> Task:
    """Return the simulation's task in the plane as the one in space: no axis is held, and the box has a height."""
    (low_x, low_y, _), (high_x, high_y, _) = task.workspace.low, task.workspace.high
    low, high = SPACE
    return Task(
        task.camera,
        replace(task.action, axes=("x", "y", "z"), fixed={}),
        WorkspaceEntry((low_x, low_y, low), (high_x, high_y, high)),
    )


def _check(document: Document, at: Place, task: Task) -> None:
    """Reject what the types alone do not say.

    Raises:
        YamlError: If a number is too small, a box upside down, or an axis is missing or there twice.
    """
    camera, action, workspace = task.camera, task.action, task.workspace
    axes, held = set(action.axes), action.fixed
    others = set("xyz") - axes
    box = dict(zip("xyz", zip(workspace.low, workspace.high, strict=True), strict=True))
    wanted: dict[tuple[str, str], tuple[bool, str]] = {
        ("camera", "width"): (camera.width > 0, "above 0 [pixels]"),
        ("camera", "height"): (camera.height > 0, "above 0 [pixels]"),
        ("camera", "image_size"): (8 <= camera.image_size <= 512, "from 8 to 512 [pixels]"),
        ("camera", "crop"): (
            wrong_crop(camera.crop) is None,
            "left, top, width, height as fractions, inside the frame",
        ),
        ("action", "axes"): (len(action.axes) == len(axes) > 0 and axes <= set("xyz"), "one to three of x, y, z"),
        ("action", "scale_m"): (action.scale_m > 0, "above 0 [m]"),
        ("action", "period_s"): (action.period_s > 0, "above 0 [s]"),
        ("action", "fixed"): (set(held) == others, f"a place [m] for each axis but {', '.join(action.axes)}"),
        ("action", "tool_orientation"): (
            0.99 < math.hypot(*action.tool_orientation) < 1.01,
            "a quaternion w x y z of length 1, such as [0.0, 1.0, 0.0, 0.0], which points down",
        ),
        ("workspace", "high"): (
            all(low < high if axis in axes else low <= high for axis, (low, high) in box.items()),
            f"above low, {list(workspace.low)}, on each axis that moves, and nowhere below it",
        ),
        ("workspace", "low"): (
            all(low <= held.get(axis, low) <= high for axis, (low, high) in box.items()),
            f"a box in which the other axes are held, {held}",
        ),
    }
    for (entry, key), (good, right) in wanted.items():
        if not good:
            value = getattr(getattr(task, entry), key)
            shown = list(value) if isinstance(value, tuple) else value
            raise document.error((*at, entry, key), f"{SECTION}.{entry}.{key} is {shown}: must be {right}")
