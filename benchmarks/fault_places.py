"""Where `faults.py` makes some of its faults: two network namespaces whose cable it cuts, and a clock that it sets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LIBFAKETIME = "libfaketime.so.1"
ROBOT, WORKSTATION = "rig_robot_side", "rig_work_side"
"""Network namespaces: arm and controller in one, everything else in the other."""


@contextmanager
def namespaces() -> Iterator[None]:
    """Two network namespaces with a cable between them, as a workstation and a robot's computer."""
    remove_namespaces()
    try:
        for name in (ROBOT, WORKSTATION):
            run("ip", "netns", "add", name)
            run("ip", "netns", "exec", name, "ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "veth", "netns", ROBOT, "type", "veth", "peer", "name", "veth", "netns", WORKSTATION)
        for number, name in enumerate((ROBOT, WORKSTATION), 1):
            run("ip", "netns", "exec", name, "ip", "address", "add", f"10.83.0.{number}/24", "dev", "veth")
            run("ip", "netns", "exec", name, "ip", "link", "set", "veth", "up")
        time.sleep(3.0)  # a new interface drops multicast at first, and discovery would miss its beginning
        yield
    finally:
        remove_namespaces()


def missing_requirements() -> dict[str, str]:
    """Return why no faults can be made in a place on this machine, for each place where that is so."""
    missing = {}
    if os.geteuid() != 0 or shutil.which("ip") is None:
        missing["network"] = "a cut needs root and the program ip: sudo apt-get install iproute2, and run with sudo"
    try:
        libfaketime()
    except FileNotFoundError as error:
        missing["clock"] = str(error)
    return missing


def remove_namespaces() -> None:
    for name in (ROBOT, WORKSTATION):
        with suppress(subprocess.CalledProcessError):
            run("ip", "netns", "delete", name)


def libfaketime() -> str:
    """Return the library's path."""
    for folder in Path("/usr/lib").glob("*/faketime"):
        if (file := folder / LIBFAKETIME).exists():
            sleep = [sys.executable, "-c", "import time; time.sleep(0.01)"]
            if subprocess.run(sleep, env={**os.environ, "LD_PRELOAD": str(file)}, capture_output=True).returncode:
                raise FileNotFoundError(f"this Python cannot sleep under {file}: a clock cannot be set here")
            return str(file)
    raise FileNotFoundError("a clock is set by libfaketime: sudo apt-get install faketime")


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
