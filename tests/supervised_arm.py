"""An arm under its supervisor, for tests: it follows perfectly, and time goes as the test says."""

from collections.abc import Callable

import numpy as np
from bounded_arm import CENTRE, started

from rig_robot.arm.arm_state import ArmState
from rig_robot.arm.commands import JointCommand
from rig_robot.arm.liveness import Timing
from rig_robot.arm.measured_joints import SETTLED
from rig_robot.arm.supervisor import ArmSupervisor
from rig_robot.common.message_age import Arrival, ClockJump

PERIOD = 0.02
VELOCITY = np.array([0.2, 0.0, 0.0])
PARK = np.array([0.55, -0.1, 0.3])


class Arm:
    """A supervisor, an arm that follows perfectly, and a clock that the test advances."""

    def __init__(
        self,
        timing: Timing = Timing(),  # noqa: B008
        held: dict[int, float] | None = None,
        park: np.ndarray | None = None,
    ) -> None:
        self.safety = started()
        self.supervisor = ArmSupervisor(self.safety, timing, held or {}, ClockJump(), park)
        self.time = 100.0
        self.clock_offset = 0.0
        self.measured = CENTRE
        self.joints_alive = True

    def armed(self) -> "Arm":
        for _ in range(SETTLED):
            self.time += PERIOD
            self.tell_joints()
        self.supervisor.arm(self.time)
        return self

    def tell_joints(self, measured: np.ndarray | None = None, age: float = 0.0) -> str | None:
        return self.supervisor.joints_arrived(self.measured if measured is None else measured, Arrival(age, self.time))

    def tell_twist(self, velocity: np.ndarray = VELOCITY, age: float = 0.0) -> None:
        self.supervisor.twist_arrived(velocity, Arrival(age, self.time))

    def tick(self, seconds: float = PERIOD) -> JointCommand | None:
        """Advance the time, a tick a period; return the last command."""
        command = None
        for _ in range(round(seconds / PERIOD)):
            self.time += PERIOD
            if self.joints_alive:
                self.tell_joints()
            command = self.supervisor.tick(self.time + self.clock_offset, self.time)
            if command is not None:
                self.measured = command.position
        return command

    def moving(self) -> bool:
        before = self.safety.position
        self.tick()
        return bool((self.safety.position != before).any())


def under_way() -> Arm:
    """Return an armed arm in motion."""
    arm = Arm().armed()
    for _ in range(10):
        arm.tell_twist()
        arm.tick()
    assert np.abs(arm.safety.velocity).max() > 0.1
    return arm


def gives_up(arm: Arm, measured: Callable[[], np.ndarray], seconds: float = 0.3, keeps_on: bool = True) -> str:
    """Feed other measurements from now on; check that the arm disarms and brakes within limits; return the reason."""
    end = arm.time + seconds
    while arm.time < end:
        before, moving = arm.safety.position, arm.safety.velocity
        arm.time += PERIOD
        arm.tell_joints(measured())
        if keeps_on:
            arm.tell_twist()
        command = arm.supervisor.tick(arm.time, arm.time)
        if command is None:
            break
        assert (np.abs(command.position - before) <= arm.safety.limits.commanded_speed * PERIOD + 1e-9).all()
        assert (np.abs(command.velocity - moving) <= arm.safety.limits.joint_acceleration * PERIOD + 1e-9).all()
    assert arm.supervisor.state is ArmState.DISARMED and not arm.safety.velocity.any()
    return arm.supervisor.reason


FALSE = {
    "zeros": lambda q: np.zeros(7),
    "9 rad": lambda q: np.full(7, 9.0),
    "degrees": np.degrees,
    "another order": lambda q: q[::-1],
    "a turn more": lambda q: q + 2 * np.pi * np.eye(7)[6],
    "a turn less": lambda q: q - 2 * np.pi * np.eye(7)[3],
    "not a number": lambda q: q * np.nan,
    "infinite": lambda q: q + np.inf,
    "beyond all": lambda q: q + 1e300,
}
