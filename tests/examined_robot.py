"""The simulated robot as `rig doctor` examines it, with whatever faults a test gives it."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from rig_robot.bringup.node_spec import NodeSpec
from rig_robot.doctor.check_result import Finding, Level
from rig_robot.doctor.examined_system import ExaminedSystem, configured
from rig_robot.doctor.options import DoctorOptions
from rig_sim.world import Camera, World

PLAIN = Path(__file__).parent / "data" / "plain_vae"
"""A checkpoint that keeps what stood still in its room"""


def well(namespace: str = "", **arm_parameters: Any) -> ExaminedSystem:
    """Start the simulated system, healthy but for these parameters of its arm (None: not given)."""
    options = DoctorOptions(sim=True, namespace=namespace, checkpoint=str(PLAIN))
    return ExaminedSystem(options, [with_arm(node, arm_parameters) for node in configured(options)])


def with_arm(node: NodeSpec, parameters: dict[str, Any]) -> NodeSpec:
    if node.name != "arm":
        return node
    merged = {name: value for name, value in (node.parameters | parameters).items() if value is not None}
    return dataclasses.replace(node, parameters=merged)


def with_camera(system: ExaminedSystem, **parameters: Any) -> ExaminedSystem:
    nodes = [
        dataclasses.replace(node, parameters=node.parameters | parameters) if node.name == "camera" else node
        for node in system.nodes
    ]
    return dataclasses.replace(system, nodes=nodes)


def assert_found(finding: Finding, level: Level, *words: str) -> None:
    assert finding.level is level and finding.advice, finding
    assert all(word in finding.found + finding.advice for word in words), finding


def camera_frame() -> np.ndarray:
    """Return a frame of the simulated camera, uint8 [480, 640, 3]."""
    world = World()
    eye = Camera(world.model, 640, 480, "camera")
    try:
        return eye.render(world.data).copy()
    finally:
        eye.close()
