"""Checks, for the supervisor, whether joint states and operator are alive, on which every command rests."""

from __future__ import annotations

from dataclasses import dataclass

from rig_robot.arm.commands import Vector
from rig_robot.arm.frozen_joints import FrozenJoints
from rig_robot.arm.measured_joints import MeasuredJoints
from rig_robot.common.message_age import Arrival

YOUNG = 0.05
"""Age up to which a joint state tells where the arm is now [s]."""


@dataclass(frozen=True)
class Timing:
    """The times that decide what is alive.

    Attributes:
        watchdog: A frame, latent or policy older than this stops the arm [s].
        motion_time: One twist moves the arm for at most this long [s], and for no longer than the next needs to come.
        heartbeat: An operator's heartbeat older than this stops the arm [s]; 0 where none is required.
        joint_states: A joint state older than this stops the arm [s]; 0: learnt from their rate, at most the watchdog.
    """

    watchdog: float = 0.25
    motion_time: float = 0.13
    heartbeat: float = 0.0
    joint_states: float = 0.0


class Liveness:
    """The joint states, the operator's heartbeat, and how long each may be silent.

    Args:
        timing: How long that is.
        joints: The measured joints.
        commanded: What the arm was told last.
    """

    def __init__(self, timing: Timing, joints: MeasuredJoints, commanded: Vector) -> None:
        self.timing = timing
        self._joints = joints
        self._joints_age = timing.watchdog
        self._frozen = FrozenJoints(commanded)
        self._heartbeat: float | None = None

    def joints_arrived(self, position: Vector, arrival: Arrival, commanded: Vector) -> str | None:
        """Take a measured joint position, [n] rad; return why it is refused, None if it is believed."""
        watchdog = self.timing.watchdog
        if arrival.age > watchdog:
            return (
                f"joint_states is stamped {arrival.age:.3f} s ago, at most {watchdog} s is fresh (a "
                "driver that does not stamp, or another clock?): refused"
            )
        refused = self._joints.take(position, arrival)
        if self._joints.changed == arrival.steady:
            self._frozen.measured_changed(commanded)
        self._joints_age = self.timing.joint_states or self._joints.learnt_age(watchdog)
        return refused

    def heartbeat_arrived(self, steady: float) -> None:
        """Take a sign of life of the operator; aged by its arrival [s, steady clock]."""
        self._heartbeat = steady

    def begin(self, commanded: Vector) -> None:
        """Begin anew at a command: from there on the arm must be seen to move."""
        self._frozen.measured_changed(commanded)

    def stale(self, steady: float, paused: float = 0.0) -> str | None:
        """Return why an arm must not move: joint states or the operator are silent; None if both are there.

        Args:
            steady: Steady clock [s].
            paused: Time that this process has slept, in which joint states may have come that nobody took in [s].
        """
        return self.joints_stale(steady, paused) or self.operator_absent(steady)

    def joints_stale(self, steady: float, paused: float = 0.0) -> str | None:
        """Return why the joint states do not tell where the arm is now; None if they do."""
        if self._joints.position is None:
            return "no joint state has arrived: is the controller running, and are its joint names the arm's?"
        limit = self._joints_age
        if self._joints.age(steady) <= limit + paused:
            return None
        return f"joint states are stale (older than {limit:.2g} s): is the controller running?"

    def operator_absent(self, steady: float) -> str | None:
        """Return why the operator counts as gone; None if one is there or none is needed."""
        longest = self.timing.heartbeat
        if longest <= 0.0:
            return None
        if self._heartbeat is None or steady - self._heartbeat > longest:
            return f"no operator heartbeat within {longest} s"
        return None

    def hanging(self, commanded: Vector, steady: float) -> str | None:
        """Return why to brake until more is known: the measured joints do not change though the arm is told to move."""
        if self._unmoved(commanded, steady) <= self._joints_age / 2.0:
            return None
        return "joint states do not change, though the arm was told to move"

    def repeated(self, commanded: Vector, steady: float) -> str | None:
        """Return why the joint states are not to be believed: they do not change though the arm is told to move."""
        if self._unmoved(commanded, steady) <= self._joints_age:
            return None
        return (
            f"joint states have not changed by a digit for {steady - self._joints.changed:.2f} s, though the arm was "
            "told to move: a driver that repeats itself, or an arm whose controller is not active?"
        )

    def _unmoved(self, commanded: Vector, steady: float) -> float:
        """Return for how long the measured joints have stayed the same though the arm is told to move [s]."""
        if self._joints.age(steady) > YOUNG:
            self._frozen.no_measurement()
            return 0.0
        return self._frozen.seconds(commanded, steady)
