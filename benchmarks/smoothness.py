"""How smooth the joint path is that a policy's steps become: jerk of the simulated arm, beside two naive ways.

Every 0.1 s a policy asks for a step of the tool. Naively, inverse kinematics turns each step into joint positions that
are sent at once (`jump`) or as a trajectory of one point, 0.1 s ahead and without a velocity (`point`). The arm node
filters the same steps at 100 Hz. All three drive the same simulated arm through the same trajectory controller.

    python benchmarks/smoothness.py
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import tyro

from rig_robot.arm.commands import Vector
from rig_robot.arm.kinematics import TOOL_DOWN, Kinematics, Margin
from rig_robot.arm.limits import Limits
from rig_robot.arm.safety import SafetyFilter
from rig_robot.bringup.parameter_files import read_parameters
from rig_robot.bringup.systems import NODES
from rig_robot.common.package_files import share
from rig_sim.robot import SimulatedRobot
from rig_sim.trajectory import Point
from rig_sim.world import HOME, JOINTS, ROBOT, kinematics

START = np.array([0.60, 0.0, 0.15])
ACTION_PERIOD, PERIOD, TICK = 0.1, 0.01, 0.005
STEP = 0.02
"""Tool displacement of an action of 1 [m]."""


@dataclass(frozen=True)
class Args:
    """What to measure."""

    seconds: float = 60.0
    """Length of the motion [s]."""
    seed: int = 0
    """Seed of the policy's steps."""


def steps(args: Args) -> Vector:
    """A policy's steps [k, 3] m: a way that is kept for a while, with noise; it stays in the middle of the box."""
    random = np.random.default_rng(args.seed)
    chosen, place, way = [], START.copy(), np.zeros(3)
    for number in range(round(args.seconds / ACTION_PERIOD)):
        if number % 10 == 0:
            way = np.append(random.uniform(-1, 1, 2), 0.0)
        action = np.clip(way + np.append(0.2 * random.standard_normal(2), 0.0), -1, 1)
        action[np.abs(place + STEP * action - START) > 0.1] *= -1
        chosen.append(STEP * action)
        place = place + chosen[-1]
    return np.array(chosen)


class Recorder:
    """The simulated arm, and how its joints moved."""

    def __init__(self) -> None:
        self.robot = SimulatedRobot(START)
        self.velocities: list[Vector] = []

    def send(self, *points: Point) -> None:
        self.robot.follow(JOINTS, points)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK)):
            self.robot.advance(self.robot.time + TICK)
            self.velocities.append(self.robot.world.joint_velocities)


def naive(args: Args, seconds: float) -> Recorder:
    """Each step at once (`seconds` near 0) or within a period."""
    arm, recorder, place = kinematics(), Recorder(), START.copy()
    q = recorder.robot.set_point
    for step in steps(args):
        place = place + step
        q = arm.solve(q, place, TOOL_DOWN)
        recorder.send(Point(seconds, q.tolist(), []))
        recorder.run(ACTION_PERIOD)
    return recorder


def filtered(args: Args) -> Recorder:
    """As the arm node does it, with the parameters of config/sim.yaml."""
    given = read_parameters(share("config", "sim.yaml"), NODES)["arm"]
    margin = Margin(given["collision_margin"], given["table_height"], given["approach_rate"])
    arm = Kinematics(ROBOT, JOINTS, "tool", rest=HOME, posture_speed=given["posture_speed"], margin=margin)
    names = {"low": "workspace_low", "high": "workspace_high"}
    bounds = {name: given[names.get(name, name)] for name in Limits.__dataclass_fields__ if name != "max_age"}
    safety = SafetyFilter(arm, Limits(**bounds, max_age=0.25), TOOL_DOWN, ramp=given["ramp"])
    recorder = Recorder()
    safety.start(recorder.robot.set_point)
    for step in steps(args):
        for _ in range(round(ACTION_PERIOD / PERIOD)):
            command = safety.step(step / ACTION_PERIOD, 0.0, PERIOD)
            points = [Point(2 * PERIOD, command.position.tolist(), command.velocity.tolist())]
            if command.braking:
                points.append(Point(2 * PERIOD + command.braking, command.rest.tolist(), [0.0] * len(JOINTS)))
            recorder.send(*points)
            recorder.run(PERIOD)
    return recorder


def figures(recorder: Recorder) -> dict[str, float]:
    """Of the joint that has most: root mean square and largest jerk [rad/s^3], largest acceleration [rad/s^2]."""
    acceleration = np.diff(np.array(recorder.velocities), axis=0) / TICK
    jerk = np.diff(acceleration, axis=0) / TICK
    return {
        "jerk_rms": round(float(np.sqrt((jerk**2).mean(axis=0)).max()), 1),
        "jerk_max": round(float(np.abs(jerk).max()), 1),
        "acceleration_max": round(float(np.abs(acceleration).max()), 2),
    }


def main(args: Args) -> None:
    found = {
        "jump": figures(naive(args, 1e-3)),
        "point": figures(naive(args, ACTION_PERIOD)),
        "filtered": figures(filtered(args)),
    }
    print(f"{'':>10} {'jerk rms':>10} {'jerk max':>10} {'acceleration max':>17}")
    for name, of in found.items():
        print(f"{name:>10} {of['jerk_rms']:10.1f} {of['jerk_max']:10.1f} {of['acceleration_max']:17.2f}")
    print(json.dumps(found))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
