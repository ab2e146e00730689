"""Finds out, before ROS is loaded, whether the environment variables let it start, and says in one line what to set.

ROS 2 reads them deep within: some end the process while rclpy is being imported, others in a traceback of each node.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rig_robot.bringup.node_spec import BringupError

TESTED_MIDDLEWARE = "rmw_fastrtps_cpp"
"""The middleware that the package is tested with, and that is always there."""
HIGHEST_DOMAIN = 232
"""Fast DDS counts its ports up to this ROS domain."""
RENDERERS, NO_RENDERER = ("egl", "osmesa", "glfw"), ("disable", "disabled", "off", "false", "0", "glx", "wgl", "cgl")
"""What MuJoCo takes for MUJOCO_GL: to be advised, and the rest."""
PATIENCE = 30.0
"""Time in which another middleware must have been loaded [s]."""
_LOAD = "import rclpy; rclpy.init()"


@dataclass(frozen=True)
class Obstacle:
    """What keeps ROS 2 from starting in an environment.

    Attributes:
        found: The variable, its value, and what is wrong with it.
        cure: What to do about it.
        instead: Variables with which ROS 2 starts all the same, for whoever only wants to look; None removes one.
    """

    found: str
    cure: str
    instead: Mapping[str, str | None]

    def line(self) -> str:
        return f"{self.found}: {self.cure}"


def refuse_obstacles(given: Mapping[str, str]) -> None:
    """Make sure that ROS 2 can start in an environment.

    Raises:
        BringupError: Names the variable, its value and what would be right.
    """
    if obstacle := next(obstacles(given), None):
        raise BringupError(obstacle.line())


def obstacles(given: Mapping[str, str]) -> Iterator[Obstacle]:
    """Yield all that keeps ROS 2 from starting in an environment, without loading it into this process."""
    for look in (_domain, _logs, _middleware, _renderer):
        if obstacle := look(given):
            yield obstacle


def refuse_unknown_renderer(given: Mapping[str, str]) -> None:
    """Make sure that MuJoCo can be imported in an environment: it ends in a traceback where it does not know a name.

    Raises:
        BringupError: Names the variable, its value and what would be right.
    """
    if obstacle := _renderer(given):
        raise BringupError(obstacle.line())


def _renderer(given: Mapping[str, str]) -> Obstacle | None:
    asked = given.get("MUJOCO_GL", "")
    if asked.lower().strip() in ("", *RENDERERS, *NO_RENDERER):
        return None
    return Obstacle(f"MUJOCO_GL is {asked!r}", f"unset it, or set one of {', '.join(RENDERERS)}", {"MUJOCO_GL": None})


def _domain(given: Mapping[str, str]) -> Obstacle | None:
    asked = given.get("ROS_DOMAIN_ID", "")
    if not asked or (re.fullmatch("[0-9]{1,9}", asked) and int(asked) <= HIGHEST_DOMAIN):
        return None
    return Obstacle(
        f"ROS_DOMAIN_ID is {asked!r}", f"set a whole number from 0 to {HIGHEST_DOMAIN}", {"ROS_DOMAIN_ID": None}
    )


def _logs(given: Mapping[str, str]) -> Obstacle | None:
    folder = log_folder(given)
    cure = "set ROS_LOG_DIR to a folder that can be written"
    instead = {"ROS_LOG_DIR": str(Path(tempfile.gettempdir()) / f"rig_robot_logs_{os.getuid()}")}
    if folder is None:
        return Obstacle("HOME is not set, and ROS 2 writes its logs there", cure, instead)
    try:
        folder.mkdir(parents=True, exist_ok=True)  # as ROS does
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return Obstacle(f"ROS 2 cannot write its logs to {folder} ({error.strerror})", cure, instead)


def log_folder(given: Mapping[str, str]) -> Path | None:
    """Return where ROS 2 writes its logs (rcl_logging_interface's order); None where no variable says where."""
    named = given.get("ROS_LOG_DIR") or (f"{given['ROS_HOME']}/log" if given.get("ROS_HOME") else "~/.ros/log")
    home = given.get("HOME")
    if named.startswith("~"):
        return Path(home, named[1:].lstrip("/")) if home else None
    return Path(named)


def _middleware(given: Mapping[str, str]) -> Obstacle | None:
    """Load a middleware that is not the usual one in a process of its own: rcl ends the process where it cannot."""
    asked = given.get("RMW_IMPLEMENTATION", "")
    if asked in ("", TESTED_MIDDLEWARE):
        return None
    # Only the middleware is to be tried here: whatever else is wrong has an entry of its own.
    environment = {**given, "ROS_LOG_DIR": tempfile.gettempdir(), "ROS_DOMAIN_ID": "0"}
    try:
        tried = subprocess.run(
            [sys.executable, "-c", _LOAD], env=environment, capture_output=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        why = f"did not start within {PATIENCE:g} s"
    else:
        if tried.returncode == 0:
            return None
        why = "is not installed for this Python's ROS 2, or does not start"
    return Obstacle(
        f"RMW_IMPLEMENTATION is {asked!r}, which {why}",
        f"unset RMW_IMPLEMENTATION (or set {TESTED_MIDDLEWARE}), perhaps in ~/.bashrc",
        {"RMW_IMPLEMENTATION": None},
    )
