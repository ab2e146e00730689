"""Directory layout of an on-robot training session: its checkpoints, recorded episodes and training state."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rig_robot.bringup.task_config import Task
from rig_robot.checkpoints.checkpoint import CURRENT, activate, read_config, resolve
from rig_robot.common.durable_files import written_whole
from rig_robot.common.package_files import locate
from rig_robot.common.task_names import TaskName


class PracticeData(NamedTuple):
    """Where a practice keeps what."""

    checkpoints: Path
    """a root of checkpoints with a link `current`"""
    episodes: Path
    """a folder for each recorded episode"""
    trainer: Path
    """training state and TensorBoard's logs"""


def of(directory: Path) -> PracticeData:
    """Return the places in a practice's directory."""
    directory = directory.expanduser().absolute()
    return PracticeData(directory / "checkpoints", directory / "episodes", directory / "trainer")


def episodes_of(directory: Path, namespace: str) -> Path:
    """Return where a further robot that practises for another one's trainer records, in that one's directory."""
    return of(directory).episodes.with_name(f"episodes-{namespace.strip('/').replace('/', '-')}")


def prepare(directory: Path, checkpoint: str, task: Task | None, kind: TaskName = "reach") -> PracticeData:
    """Make a new practice's directory; one that is there already goes on where it was.

    Args:
        directory: The practice's.
        checkpoint: What to begin with (it is copied): a directory, a root with a link `current`, or
            package://NAME/PATH. Empty: nothing is known, and the robot learns from scratch.
        task: What a robot must know that knows nothing; None where a checkpoint says it.
        kind: What a robot learns that knows nothing.

    Raises:
        ValueError: If there is a practice in the directory and a checkpoint is named, or the latter is not usable.
    """
    data = of(directory)
    for place in data:
        place.mkdir(parents=True, exist_ok=True)
    with _alone(data.checkpoints):  # two robots that share a directory may begin in the same moment
        _begin(directory, data, checkpoint, task, kind)
    return data


def _begin(directory: Path, data: PracticeData, checkpoint: str, task: Task | None, kind: TaskName) -> None:
    """Make the checkpoint that a new practice begins with, and make it current; see `prepare`."""
    if (data.checkpoints / CURRENT).exists():
        if checkpoint:
            raise ValueError(
                f"{directory} holds a practice that goes on from its own checkpoint: leave the checkpoint "
                f"{checkpoint} out, or name another directory for a new practice"
            )
        return
    if checkpoint:
        first = _copy(resolve(locate(checkpoint)), data.checkpoints)
    elif task is not None:
        from rig_robot.learning.checkpoint_io.untrained import create, create_to_push  # imports torch
        from rig_robot.learning.methods import MORE_UPDATES, preset
        from rig_robot.learning.push_arguments import PushArgs

        first, size = data.checkpoints / "untrained", task.camera.image_size
        if kind == "push":
            create_to_push(first, task.camera, task.action, task.workspace, PushArgs(out=directory, image_size=size))
        else:
            args = preset("rig", out=directory, image_size=size, **MORE_UPDATES)  # it has time for them while it moves
            create(first, task.camera, task.action, task.workspace, args)
    else:
        raise ValueError(f"{directory} holds no practice yet: name a checkpoint to begin with, or a task")
    activate(first)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process is in here for this folder."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _copy(source: Path, root: Path) -> Path:
    """Copy a checkpoint into a root, whole or not at all; it is verified first."""
    read_config(source)
    target = root / source.name
    if not target.exists():  # it does when a kill came between this and the link
        with written_whole(target) as folder:
            shutil.copytree(source, folder, dirs_exist_ok=True)
    return target
