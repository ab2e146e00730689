"""Validates measured joint positions for the supervisor: only those that the joints can have reached are believed.

A driver that reconnects publishes zeros, a second publisher says something else, an angle jumps by a whole turn: a
measurement is input from outside like any other. It is believed only where the joints can have got there since the last
one that was believed. No ROS here and no clocks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rig_robot.arm.commands import Vector
from rig_robot.common.message_age import Arrival, Period

WINDOW = 0.25
"""Joints are granted motion for this long at most [s], and what a measurement may be off once in this time."""
DOUBT = 1.0
"""After a refused measurement, the arm is not armed for this long; a second one within it disarms [s]."""
ADOPTED = 1.0
"""Refused measurements that agree with each other for this long, with none believed between, are the truth [s]."""
SETTLED = 3
"""Measurements that must agree before an arm is sent anything."""
SHORTEST_AGE = 0.1
"""Learnt age at which joint states are stale, at the least [s]: a busy computer's scheduler takes some of it."""
PERIODS = 5.0
"""The same in periods of the joint states."""
STILL = 0.01
"""An arm whose joints stay within this [rad] stands still."""


@dataclass
class _Candidate:
    """Refused measurements that agree with each other: the last one, and steady times [s] of the first and the last."""

    position: Vector
    since: float
    last: float


class MeasuredJoints:
    """The last measured joint position that is believed, and how far it can be relied on.

    Args:
        joints: Names of the joints, for what people read.
        speed: Largest speed of each joint, [n] rad/s.
        slack: What a measurement may be off beyond that, the tracking error [rad].
    """

    def __init__(self, joints: Sequence[str], speed: Vector, slack: float) -> None:
        self._joints, self._speed, self._slack = joints, speed, slack
        self.position: Vector | None = None
        self.arrival = Arrival(np.inf, -np.inf)
        self.changed = -np.inf
        """When the position last changed, be it by the last digit [s, steady clock]."""
        self.unseen = False
        """Whether the arm is somewhere else than before without having been seen to move there."""
        self._window: deque[tuple[float, Vector]] = deque()  # the believed of the last `WINDOW`, with steady times [s]
        self._still: tuple[Vector, float] | None = None  # a posture, and since when the arm is within `STILL` of it
        self._agreeing = 0
        self._refused: deque[float] = deque(maxlen=2)  # steady times
        self._why = ""
        self._in_a_row = 0
        self._candidate: _Candidate | None = None
        self._period = Period()

    def take(self, position: Vector, arrival: Arrival) -> str | None:
        """Take a measured joint position.

        Args:
            position: [n] rad.
            arrival: When it arrived, and how old it was.

        Returns:
            None if it is believed, else why it is refused.
        """
        steady = arrival.steady
        self._period.note(steady)
        if not np.isfinite(position).all():
            return self._refuse(f"joint_states has a position that is not finite, {position.tolist()}", steady)
        while self._window and steady - self._window[0][0] > WINDOW and len(self._window) > 1:
            self._window.popleft()
        # From the oldest too: what a measurement may be off must not add up to a motion.
        for since, place in (self._window[-1], self._window[0]) if self._window else ():
            if not self._reachable(place, position, steady - since):
                if self._adopt(position, steady):
                    self._window.clear()
                    break
                return self._refuse(self._told(place, position, steady - since), steady)
        self._believe(position, arrival)
        return None

    def age(self, steady: float) -> float:
        """Return the age of the believed measurement [s]; infinite before the first."""
        return self.arrival.now(steady) if self.position is not None else np.inf

    def learnt_age(self, longest: float) -> float:
        """Return the age at which joint states are stale, by the rate at which they come [s]; at most the longest."""
        return self._period.times(PERIODS, least=SHORTEST_AGE, most=longest)

    @property
    def settled(self) -> bool:
        """Whether enough measurements in a row agree with each other for the arm to be sent anything."""
        return self._agreeing >= SETTLED

    def still(self, steady: float) -> float:
        """Return for how long the arm has stood still [s]."""
        return 0.0 if self._still is None else steady - self._still[1]

    def doubt(self, steady: float) -> str | None:
        """Return why the arm must not be armed now: a measurement was refused in the last `DOUBT` seconds."""
        return self._why if self._refused and steady - self._refused[-1] < DOUBT else None

    @property
    def disbelieved(self) -> str | None:
        """Return why an armed arm must be disarmed: two measurements were refused, in a row or within `DOUBT`."""
        soon = len(self._refused) == 2 and self._refused[1] - self._refused[0] < DOUBT
        return self._why if self._in_a_row >= 2 or (self._in_a_row and soon) else None

    def elsewhere(self, sent: Vector | None) -> str | None:
        """Return why an arm must not be armed that is elsewhere than it was sent and was not seen to go there.

        Args:
            sent: The last joint command, [n] rad; None if there was none.
        """
        position = self.position
        if sent is None or position is None or not self.unseen or (np.abs(position - sent) <= self._slack).all():
            return None
        return (
            f"the joint states say {np.round(position, 3).tolist()} rad; the last command was "
            f"{np.round(sent, 3).tolist()}, and the arm was not seen to move between them: look at the arm. If "
            "it is truly there, say disarm once more (`rig tell disarm`), then arm it"
        )

    def accept_place(self) -> None:
        """Take the word of a person that the arm is where the joint states say."""
        self.unseen = False

    def _reachable(self, start: Vector, end: Vector, seconds: float) -> bool:
        return bool((np.abs(end - start) <= self._allowed(seconds)).all())

    def _allowed(self, seconds: float) -> Vector:
        return self._speed * min(max(seconds, 0.0), WINDOW) + self._slack

    def _believe(self, position: Vector, arrival: Arrival) -> None:
        if self.position is None or (position != self.position).any():
            self.changed = arrival.steady
        if self._still is None or np.abs(position - self._still[0]).max() > STILL:
            self._still = (position, arrival.steady)
        self.position, self.arrival = position, arrival
        self._window.append((arrival.steady, position))
        self._agreeing += 1
        self._in_a_row = 0
        self._candidate = None

    def _refuse(self, why: str, steady: float) -> str:
        self._refused.append(steady)
        self._in_a_row += 1
        self._agreeing = 0
        self._why = why
        return f"{why}: refused"

    def _adopt(self, position: Vector, steady: float) -> bool:
        """Return whether the joint states have agreed on another place for so long that it must be the true one."""
        known = self._candidate
        gap = np.inf if known is None else steady - known.last
        if known is not None and gap <= WINDOW and self._reachable(known.position, position, gap):
            known.position, known.last = position, steady
        else:
            self._candidate = known = _Candidate(position, steady, steady)
        if steady - known.since < ADOPTED:
            return False
        self.unseen = True
        return True

    def _told(self, place: Vector, position: Vector, seconds: float) -> str:
        moved, allowed = position - place, self._allowed(seconds)
        joint = int(np.argmax(np.abs(moved) / allowed))
        turns = moved[joint] / (2.0 * np.pi)
        whole = abs(turns) > 0.5 and abs(turns - np.round(turns)) * 2.0 * np.pi <= allowed[joint]
        hint = (
            "the driver wraps its angles"
            if whole
            else "a driver that reconnects, a second publisher (joint_state_publisher), another order or unit?"
        )
        return (
            f"joint_states has {self._joints[joint]} at {position[joint]:.3f} rad, {abs(moved[joint]):.3f} rad from "
            f"where it was {max(seconds, 0.0):.3f} s before; at most {allowed[joint]:.3f} rad is possible ({hint})"
        )
