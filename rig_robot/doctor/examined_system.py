"""Describes the system that `rig doctor` examines: its configuration, its nodes, and what it said while it ran."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from rig_robot.bringup.node_spec import NodeSpec, Parameters
from rig_robot.bringup.options import RobotOptions, SimOptions
from rig_robot.bringup.systems import robot, simulation
from rig_robot.checkpoints.checkpoint import read_config
from rig_robot.checkpoints.config import CheckpointConfig
from rig_robot.common.package_files import share
from rig_robot.doctor.heard import Heard
from rig_robot.doctor.options import DoctorOptions
from rig_robot.messages.arm_commands import find_interface

OWN_TOPIC = "camera/image_raw"
"""Where the camera node publishes the frames of a camera that it owns."""


@dataclass(frozen=True)
class ExaminedSystem:
    """A configured system, which may be running.

    Attributes:
        options: Options of `rig doctor`.
        nodes: Its nodes, as the bring-up would start them.
        heard: What the nodes said while the doctor listened; empty where none runs.
    """

    options: DoctorOptions
    nodes: list[NodeSpec]
    heard: Heard = field(default_factory=Heard)

    @cached_property
    def arm(self) -> Parameters:
        """Return the arm node's parameters."""
        return self._parameters("arm")

    @cached_property
    def camera(self) -> Parameters:
        """Return the camera node's parameters."""
        return self._parameters("camera")

    @cached_property
    def checkpoint(self) -> Path:
        """Return the checkpoint's directory."""
        return Path(self.arm["checkpoint"])

    @cached_property
    def trained(self) -> CheckpointConfig:
        """Return the checkpoint's configuration."""
        return read_config(self.checkpoint)

    @property
    def interface(self) -> str:
        return str(self.arm.get("interface", "joint_trajectory"))

    @property
    def command_topic(self) -> str:
        return str(self.arm.get("command_topic") or find_interface(self.interface).topic)

    @property
    def command_type(self) -> str:
        """Return the ROS name of the commands' type."""
        return find_interface(self.interface).type_name()

    @property
    def controller_settings(self) -> tuple[str, ...]:
        """Return the controller's parameters that must be true."""
        return find_interface(self.interface).settings

    @property
    def joint_states_topic(self) -> str:
        return str(self.arm.get("joint_states_topic", "joint_states"))

    @property
    def source(self) -> str:
        """Return the source of the camera node's frames."""
        return str(self.camera.get("source", "topic"))

    @property
    def image_topic(self) -> str:
        """Return the topic of the camera's frames."""
        if self.source != "topic":
            return OWN_TOPIC
        end = "/compressed" if self.camera.get("transport") == "compressed" else ""
        return str(self.camera.get("topic", OWN_TOPIC)) + end

    @property
    def start(self) -> str:
        """Return the command that starts the system."""
        return "rig sim" if self.options.sim else f"rig robot --config {self.options.config or 'my_robot.yaml'}"

    def _parameters(self, name: str) -> Parameters:
        return next(node.parameters for node in self.nodes if node.name == name)


def configured(options: DoctorOptions) -> list[NodeSpec]:
    """Return the nodes that the bring-up would start.

    Raises:
        BringupError: If it would reject the configuration.
    """
    if options.sim:
        return simulation(SimOptions(options.checkpoint, options.config, options.namespace, goals=-1))
    return robot(RobotOptions(options.config or share("config", "robot.yaml"), options.checkpoint, options.namespace))


def domain() -> str:
    return os.environ.get("ROS_DOMAIN_ID", "0") or "0"
