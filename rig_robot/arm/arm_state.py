"""Names what an arm does, for the supervisor that decides it and for all that only read it."""

from __future__ import annotations

from enum import Enum


class ArmState(Enum):
    """What the arm does, each with the sentence that people read."""

    DISARMED = "disarmed: nothing moves; call the arm service"
    WAITING = "armed: holds still, no fresh command"
    MOVING = "armed: follows the policy's commands"
    PARKING = "armed: drives to its park position, then disarms; disarm to abort"
    ESTOPPED = "emergency stop: reset it, then arm again"

    @property
    def armed(self) -> bool:
        return self in (ArmState.WAITING, ArmState.MOVING, ArmState.PARKING)
