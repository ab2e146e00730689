"""The stand-in's arm and drives: the scene of `sim/`, moved by drives as an industrial arm has them. No ROS."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from rig_sim.world import HOME, SCENE

Array = NDArray[np.float64]

BANDWIDTH = 150.0
"""Of the drives [rad/s]. The scene's own are as soft as a Sawyer's springs: an arm that was told to stop would rest
0.25 s later, and that is all that one would see of anything that stops it."""


class Arm:
    """Physics, one step at a time. Drives follow positions, feed forward the speed at which these change, and have the
    scene's limited torques.

    Args:
        position: Of the joints at first [n] rad.
        dt: Length of a step [s].
    """

    def __init__(self, position: ArrayLike, dt: float) -> None:
        self.model = mujoco.MjModel.from_xml_path(str(SCENE))
        self.model.opt.timestep = dt
        self._data = mujoco.MjData(self.model)
        self._tool = self.model.site("tool").id
        self._data.qpos[:] = HOME
        mujoco.mj_forward(self.model, self._data)
        whole = np.empty((self.model.nv, self.model.nv))
        mujoco.mj_fullM(self.model, self._data, whole)
        inertia = np.diag(whole)  # that each joint carries at home: the drives are critically damped for it
        self.model.actuator_gainprm[:, 0] = inertia * BANDWIDTH**2
        self.model.actuator_biasprm[:, 1] = -inertia * BANDWIDTH**2
        self.model.actuator_biasprm[:, 2] = -2.0 * inertia * BANDWIDTH
        self._data.qpos[:] = position
        mujoco.mj_forward(self.model, self._data)

    def advance(self, position: Array, velocity: Array) -> None:
        """Make one step with the drives told a position [n] rad that moves at a velocity [n] rad/s."""
        self._data.ctrl[:] = position + 2.0 / BANDWIDTH * velocity
        mujoco.mj_step(self.model, self._data)
        mujoco.mj_kinematics(self.model, self._data)  # else the tool would be a step behind the joints

    @property
    def positions(self) -> Array:
        """[n] rad."""
        return self._data.qpos.copy()

    @property
    def velocities(self) -> Array:
        """[n] rad/s."""
        return self._data.qvel.copy()

    @property
    def tool(self) -> Array:
        """[3] m, true position in the base frame."""
        return self._data.site_xpos[self._tool].copy()
