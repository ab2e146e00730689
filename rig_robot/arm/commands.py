"""The commands that the safety filter passes on to an arm: joint positions, or velocities of the tool."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class JointCommand:
    """What may be sent to an arm that takes joint positions.

    Attributes:
        position: Joint positions, [n] rad.
        velocity: Joint velocities there, [n] rad/s.
        note: What the filter changed or dropped and why; empty if nothing.
        rest: Where the joints come to rest when nothing follows and all brake together from there, [n] rad.
        braking: How long that takes [s]; 0 where they are at rest.
    """

    position: Vector
    velocity: Vector
    note: str
    rest: Vector
    braking: float


@dataclass(frozen=True)
class TwistCommand:
    """What may be sent to an arm that takes tool velocities.

    Attributes:
        linear: Velocity of the tool in the base frame, [3] m/s.
        angular: Its angular velocity there, [3] rad/s.
        note: What the filter changed or dropped and why; empty if nothing.
    """

    linear: Vector
    angular: Vector
    note: str = ""


Command = JointCommand | TwistCommand


Vector = NDArray[np.float64]
