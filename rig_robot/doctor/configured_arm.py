"""Reads the arm's configured parameters for the checks, by the same functions as the arm node, without a node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from rclpy.parameter import Parameter

from rig_robot.arm.commands import Vector
from rig_robot.arm.kinematics import Kinematics
from rig_robot.arm.limits import Limits
from rig_robot.bringup.node_spec import Parameters
from rig_robot.checkpoints.config import CheckpointConfig
from rig_robot.doctor.examined_system import ExaminedSystem
from rig_robot.ros.arm_parameters import declare_approach_rate, declare_kinematics, declare_limits, declare_park
from rig_robot.ros.node import BadParameter, RigNode

_ARRAYS = (Parameter.Type.DOUBLE_ARRAY, Parameter.Type.STRING_ARRAY)


class _ConfiguredParameters:
    """Takes the place of a node for those functions: `declare` looks the value up in the configuration."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    def declare(
        self,
        name: str,
        default: Any,
        text: str,
        *,
        low: float | None = None,
        high: float | None = None,
        choices: Sequence[str] | None = None,
        check: Callable[[Any], str | None] | None = None,
        read_only: bool = True,
    ) -> Any:
        required = isinstance(default, Parameter.Type)
        value = self._parameters.get(name, None if required else default)
        if value is None:
            raise BadParameter(f"{name} must be given: {text}")
        kind = default if required else Parameter(name, value=default).type_
        found = Parameter(name, value=value).type_
        if found is not kind:
            raise BadParameter(f"{name} = {value!r} must be a {kind.name.lower()}: {text}")
        if low is not None and high is not None and not low <= value <= high:
            raise BadParameter(f"{name} = {value!r} must be from {low} to {high}: {text}")
        return value


def kinematics(system: ExaminedSystem) -> Kinematics:
    """Return the configured arm.

    Raises:
        ValueError, OSError: If the arm node would reject its parameters, with the arm node's text.
    """
    node, heard = _node(system.arm), None
    if system.arm.get("description") == "topic":
        heard = system.heard.description
        if not heard:
            raise ValueError("nothing on robot_description: is robot_state_publisher running in this namespace?")
    return declare_kinematics(node, declare_approach_rate(node), heard)


def limits(system: ExaminedSystem, trained: CheckpointConfig | None = None) -> Limits:
    """Return the configured bounds; with a checkpoint, its workspace must be inside the box.

    Raises:
        ValueError: If the arm node would reject them, with the arm node's text.
    """
    node = _node(system.arm)
    return declare_limits(node, declare_approach_rate(node), trained)


def park(system: ExaminedSystem) -> Vector | None:
    """Return the configured park position of the tool [3] m; None where there is none."""
    return declare_park(_node(system.arm))


def measured(system: ExaminedSystem, joints: Sequence[str]) -> Vector | None:
    """Return the measured joint positions [n] rad; None where a joint was not heard."""
    heard = system.heard.joints.positions
    return np.array([heard[joint] for joint in joints]) if set(joints) <= set(heard) else None


def _node(parameters: Parameters) -> RigNode:
    return cast(RigNode, _ConfiguredParameters(parameters))
