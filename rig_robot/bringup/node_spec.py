"""Describes one node of a system: its module, parameters and environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rig_robot.bringup.environment import dds_profile, quiet_threads

Parameters = dict[str, Any]

COMPOSED = ("camera", "encoder", "goal", "policy")
"""Nodes that may run in one process, in the order in which they are made there"""


class BringupError(ValueError):
    """A system cannot be put together as asked; the text names what is wrong and what would be right."""


@dataclass(frozen=True)
class NodeSpec:
    """One process of a system: a node, or the nodes of `parts`.

    Attributes:
        name: ROS node name, and the executable's; of a process with `parts` only the executable's.
        module: Python module that `python -m` runs.
        parameters: What it is told beyond its defaults.
        namespace: ROS namespace.
        vital: Whether the system ends when it does; all others are started anew.
        finishes: Whether its exit with status 0 means that all is done.
        sends_frames: Whether it publishes camera frames, which need a large shared-memory segment.
        log_level: Least severe of the messages that it logs.
        parts: The nodes of a composed process, which says nothing of its own.
    """

    name: str
    module: str
    parameters: Parameters = field(default_factory=dict)
    namespace: str = ""
    vital: bool = False
    finishes: bool = False
    sends_frames: bool = False
    log_level: str = "info"
    parts: tuple[NodeSpec, ...] = ()

    @property
    def nodes(self) -> tuple[NodeSpec, ...]:
        """Return the nodes of this process."""
        return self.parts or (self,)

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the variables to add to the user's environment `given` for this node."""
        profile = "camera" if self.sends_frames else "small"
        if self.parts:
            profile = "composed_camera" if self.sends_frames else "composed"
        return {**quiet_threads(given), **dds_profile(profile, given)}

    def parameter_words(self) -> list[str]:
        """Return the parameters as a command line writes them, NAME:=VALUE."""
        # JSON is YAML, with the quotes where they are needed; its \u would be another thing in YAML for an emoji.
        return [f"{name}:={json.dumps(value, ensure_ascii=False)}" for name, value in self.parameters.items()]

    def part_words(self) -> list[str]:
        """Return what `rig_robot.nodes.composed` is told: each node's name, and its parameters behind it."""
        return [word for part in self.parts for word in (part.name, *part.parameter_words())]

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


def compose(nodes: list[NodeSpec]) -> list[NodeSpec]:
    """Return the nodes with those of `COMPOSED` put together as one process, where the first of them stood."""
    parts = tuple(node for node in nodes if node.name in COMPOSED)
    one = NodeSpec(
        "composed",
        "rig_robot.nodes.composed",
        namespace=parts[0].namespace,
        sends_frames=any(part.sends_frames for part in parts),
        log_level=parts[0].log_level,
        parts=parts,
    )
    return [one if node is parts[0] else node for node in nodes if node not in parts[1:]]
