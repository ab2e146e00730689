"""Names the tasks, for options and nodes."""

from __future__ import annotations

from typing import Literal, get_args

TaskName = Literal["reach", "push"]
"""reach: the tool goes where a goal image shows it; push: an object, too (docs/pushing.md)"""
TASKS: tuple[TaskName, ...] = get_args(TaskName)
