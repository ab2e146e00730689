"""Declares the camera node's parameters that choose and set up a camera driver."""

from __future__ import annotations

from typing import Any

from rig_robot.cameras.driver import AUTOMATIC, Driver, DriverMissing, Now
from rig_robot.cameras.registry import DRIVERS, TOPIC, options
from rig_robot.ros.node import BadParameter, RigNode


def declare_driver(node: RigNode, source: str, topic: str, now_ns: Now, devices: Any) -> Driver | None:
    """Return the driver of a source; None for `topic`, where another process has the camera.

    Args:
        node: The camera node.
        source: Value of the parameter `source`.
        topic: Value of the parameter `topic`: for a bag, the topic that is read from it.
        now_ns: Returns ROS time now [ns].
        devices: Where the driver looks for devices (`pyrealsense2.context` for a RealSense); None: those plugged in.

    Raises:
        BadParameter: If a parameter is missing, or the source needs a package that is not installed.
    """
    # Those of all drivers: a configuration may go on saying what another source needs.
    given = {
        name: node.declare(name, option.default, option.text, low=option.low, high=option.high)
        for name, option in options().items()
    }
    node.hardware_id = topic
    if source == TOPIC:
        return None
    own = {option.name for option in DRIVERS[source].options} & {"serial", "device", "path"}
    node.hardware_id = " ".join([source, *(str(given[name]) for name in sorted(own) if given[name])])
    if DRIVERS[source].has_sensor and AUTOMATIC in (given["exposure"], given["white_balance"]):
        node.get_logger().warning(
            "exposure or white_balance is automatic: what the networks see will change with the arm and the light"
        )
    try:
        return DRIVERS[source].make({**given, "topic": topic}, now_ns, devices)
    except DriverMissing as error:
        raise BadParameter(str(error)) from None
