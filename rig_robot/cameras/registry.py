"""Lists the camera drivers, for the camera node and the doctor: by the value of the camera node's parameter `source`.

A new driver is one file with a `Kind`, and one line in `DRIVERS`. `topic` is no driver: another process has the camera.
"""

from __future__ import annotations

from rig_robot.cameras import playback, realsense, v4l2
from rig_robot.cameras.driver import Kind, Option

TOPIC = "topic"
"""The source that is another process's topic."""
DRIVERS: dict[str, Kind] = {
    "realsense": realsense.KIND,
    "v4l2": v4l2.KIND,
    "file": playback.KIND,
}
SOURCES = (TOPIC, *DRIVERS)
"""Values of the parameter `source`."""


def options() -> dict[str, Option]:
    """Return the parameters of all drivers by name; what several drivers share is there once."""
    return {option.name: option for kind in DRIVERS.values() for option in kind.options}
