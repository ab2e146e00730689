"""Describes one node of a system: its module, parameters and environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rig_robot.bringup.environment import dds_profile, quiet_threads

Parameters = dict[str, Any]


class BringupError(ValueError):
    """A system cannot be put together as asked; the text names what is wrong and what would be right."""


@dataclass(frozen=True)
class NodeSpec:
    """One node of a system.

    Attributes:
        name: ROS node name, and the executable's.
        module: Python module that `python -m` runs.
        parameters: What it is told beyond its defaults.
        namespace: ROS namespace.
        vital: Whether the system ends when it does; all others are started anew.
        finishes: Whether its exit with status 0 means that all is done.
        sends_frames: Whether it publishes camera frames, which need a large shared-memory segment.
        log_level: Least severe of the messages that it logs.
    """

    name: str
    module: str
    parameters: Parameters = field(default_factory=dict)
    namespace: str = ""
    vital: bool = False
    finishes: bool = False
    sends_frames: bool = False
    log_level: str = "info"

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the variables to add to the user's environment `given` for this node."""
        return {**quiet_threads(given), **dds_profile("camera" if self.sends_frames else "small", given)}

    def ros_arguments(self, given: Mapping[str, str]) -> list[str]:
        """Return the ROS arguments beside names and parameters: the log level and, with SROS2, the enclave.

        Args:
            given: The user's environment, which may turn SROS2 on.
        """
        level = [] if self.log_level == "info" else ["--log-level", self.log_level]
        return self.security(given) + level

    def security(self, given: Mapping[str, str]) -> list[str]:
        """Return the ROS arguments that name this node's enclave where the environment `given` turns SROS2 on."""
        return ["--enclave", f"/rig/{self.name}"] if given.get("ROS_SECURITY_ENABLE") == "true" else []
