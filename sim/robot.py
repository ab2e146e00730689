"""Simulates the robot without ROS: the world, with a trajectory controller in front of its servos."""

from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from rig_robot.arm.commands import Vector
from rig_robot.arm.kinematics import TOOL_DOWN
from rig_sim.trajectory import Point, Trajectory, plan
from rig_sim.world import HOME, JOINTS, World, kinematics


class SimulatedRobot:
    """An arm that follows joint trajectories in simulated time.

    Args:
        start: where the tool is at first [3] (m, base frame), pointing down.
        world: the physics; None: that of reaching.
    """

    def __init__(self, start: ArrayLike, world: World | None = None) -> None:
        arm = kinematics()
        self._lower, self._upper = arm.lower, arm.upper
        q = arm.solve(HOME, start, TOOL_DOWN)
        self.world = World() if world is None else world
        self.world.place(q)
        self._ticks = 0  # counted, not summed: hours of timesteps must not drift
        self._trajectory = Trajectory(np.zeros(1), q[None], None)

    def follow(self, names: Sequence[str], points: Sequence[Point], begin: float | None = None) -> None:
        """Follow a new trajectory instead of the old one, as joint_trajectory_controller does.

        Args:
            names: the joints in the order that the points have them.
            points: joint positions and their times.
            begin: simulated time (s) that the points' times are relative to; None for now.

        Raises:
            Refused: the trajectory cannot be followed; the old one goes on.
        """
        state = self._trajectory.at(self.time)
        begin = self.time if begin is None else begin
        self._trajectory = plan(names, points, begin, self.time, state, JOINTS, self._lower, self._upper)

    def advance(self, until: float) -> None:
        """Run the physics until a simulated time (s), to within a timestep."""
        while (self._ticks + 1) * self.world.timestep <= until + 1e-6:
            halfway = self._trajectory.at(self.time + self.world.timestep / 2)
            self._ticks += 1
            position, velocity, _ = self._trajectory.at(self.time)
            self.world.advance(position, velocity, halfway.acceleration)  # on the average of the step

    @property
    def time(self) -> float:
        """Simulated time since the start (s)."""
        return self._ticks * self.world.timestep

    @property
    def set_point(self) -> Vector:
        """Commanded joint position [7] (rad) of the servos."""
        return self._trajectory.at(self.time).position

    def show(self, data: mujoco.MjData) -> None:
        """Copy the state that a camera renders into `data`, another state of the same model."""
        data.qpos[:] = self.world.data.qpos
