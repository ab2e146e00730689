"""Starts the camera node for a moment, so that the checks see frames of a camera that no process has opened yet."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator

from rig_robot.bringup.process_runner import command
from rig_robot.doctor.examined_system import ExaminedSystem
from rig_robot.doctor.heard import Heard

CAMERA_START = 15.0
"""Time that a camera node and its camera may take until the first frame [s]."""
STOP = 5.0
"""Time that the node may take to end [s]."""


def temporary_camera(
    system: ExaminedSystem, heard: Heard
) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]] | None:
    """Return a context in which a camera node runs; None where frames come from another process."""
    node = next(node for node in system.nodes if node.name == "camera")
    if system.source == "topic" or heard.frames.arrivals or heard.runs(node.name, node.namespace):
        return None

    @contextlib.contextmanager
    def running() -> Iterator[subprocess.Popen[bytes]]:
        given = dict(os.environ)
        process = subprocess.Popen(
            command(node, given),
            env=given | node.environment(given),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C at the terminal reaches only the doctor, which ends this process
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    return running()
