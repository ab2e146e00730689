"""Decides how an action that sends a goal picture ends, from what robot and arm report meanwhile."""

from __future__ import annotations

from enum import IntEnum

from rig_robot.inference.goal_progress import Phase

NOT_REACHING = 2.0
"""Time after which a policy that does not follow a goal is taken to stay so [s]"""


class Outcome(IntEnum):
    """How it ended; numbers as in ReachGoalImage.action."""

    REACHED = 1
    STALLED = 2
    TIMED_OUT = 3
    STOPPED = 4
    """the arm is not armed, or the policy not in mode reach"""
    LOST_SIGHT = 5
    REFUSED = 6
    REPLACED = 7
    """by another goal, or cleared"""
    CANCELLED = 8


_ENDS = {Phase.REACHED: Outcome.REACHED, Phase.STALLED: Outcome.STALLED, Phase.BLIND: Outcome.LOST_SIGHT}


class GoalPursuit:
    """Follows one goal until its end.

    Args:
        goal: Name of the goal.
        began: When it was accepted, by the clock of `update` [s].
        timeout: Longest time to get there [s].
    """

    def __init__(self, goal: str, began: float, timeout: float) -> None:
        self.goal, self._began, self._timeout = goal, began, timeout
        self._phase: Phase | None = None
        self._text = "nothing heard on rig/goal/progress: is the policy node running?"
        self._not_followed: float | None = began  # since when the policy follows no goal, or another one [s]

    def report(self, now: float, state: str, goal: str, text: str) -> None:
        """Take a report of `rig/goal/progress` at a time [s]: its state, the goal that it is about, its sentence."""
        if goal == self.goal:
            self._phase, self._text, self._not_followed = Phase(state), text, None
        elif self._not_followed is None:
            self._phase, self._text, self._not_followed = None, text, now
        else:
            self._text = text

    def end(self, now: float, present: str, disarmed: str | None) -> tuple[Outcome, str] | None:
        """Return how it ended and why; None while it goes on.

        Args:
            now: Time [s].
            present: Name of the robot's present goal.
            disarmed: Why the arm is not armed; None where it is, or where no arm is heard.
        """
        if present != self.goal:
            return Outcome.REPLACED, "another goal took its place" if present != "none" else "the goal was cleared"
        if self._phase is Phase.REACHED:
            return Outcome.REACHED, self._text
        if disarmed is not None:
            return Outcome.STOPPED, f"the arm is {disarmed}"
        if self._phase in _ENDS:
            return _ENDS[self._phase], self._text
        if self._not_followed is not None and now - self._not_followed > NOT_REACHING:
            return Outcome.STOPPED, self._text
        if now - self._began > self._timeout:
            return Outcome.TIMED_OUT, f"not there after {self._timeout:g} s: {self._text}"
        return None
