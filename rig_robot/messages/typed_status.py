"""Makes typed messages of the statuses, where the package `rig_robot_interfaces` is installed, which must be compiled.

All else works without it: what is typed says the same as a `DiagnosticStatus` on another topic.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus

from rig_robot.arm.arm_state import ArmState
from rig_robot.common.message_fields import values
from rig_robot.inference.goal_progress import Phase
from rig_robot.messages.diagnostics import ERROR, OK, WARN

try:
    from rig_robot_interfaces.action import ReachGoalImage
    from rig_robot_interfaces.msg import ArmStatus, GoalProgress, GoalStatus, TrainerProgress
except ImportError:
    ReachGoalImage = ArmStatus = GoalProgress = GoalStatus = TrainerProgress = None

INSTALLED = ReachGoalImage is not None
"""Whether there are typed messages"""


class Malformed(ValueError):
    """A status cannot be said as a typed message; the text says why."""


def _converter(convert: Callable[[DiagnosticStatus], Any]) -> Callable[[DiagnosticStatus], Any]:
    """Let a conversion raise `Malformed` whatever is wrong: anybody may publish a status."""

    @functools.wraps(convert)
    def converted(status: DiagnosticStatus) -> Any:
        try:
            return convert(status)
        except (KeyError, ValueError, AttributeError, AssertionError, OverflowError) as error:  # messages assert ranges
            raise Malformed(f"a status is not as expected: {error!r}") from error

    return converted


@_converter
def arm_status(status: DiagnosticStatus) -> Any:
    """Return `rig/arm/status` as an `ArmStatus`."""
    said = values(status)
    state = said["state"].upper()
    seconds, nanoseconds = divmod(int(said["rests_on"]), 10**9)
    return ArmStatus(
        state=getattr(ArmStatus, state),
        armed=ArmState[state].armed,
        reason=said["reason"],
        rests_on=Time(sec=seconds, nanosec=nanoseconds, check_fields=True),
        text=status.message,
        check_fields=True,
    )


@_converter
def goal_progress(status: DiagnosticStatus) -> Any:
    """Return `rig/goal/progress` as a `GoalProgress`."""
    said = values(status)
    return GoalProgress(
        check_fields=True,
        state=list(Phase).index(Phase(said["state"])),
        goal=int(said["goal"]),
        distance=_number(said, "distance"),
        tool_mm=_number(said, "tool [mm]"),
        object_mm=_number(said, "object [mm]"),
        exact=said.get("exact") == "True",
        seconds=float(said.get("seconds", 0.0)),
        text=status.message,
    )


@_converter
def goal_status(status: DiagnosticStatus) -> Any:
    """Return `rig/goal/status` as a `GoalStatus`."""
    said = values(status)
    familiar = {"True": GoalStatus.KNOWN, "False": GoalStatus.UNKNOWN}
    return GoalStatus(
        check_fields=True,
        accepted=status.level != ERROR,
        doubtful=status.level == WARN,
        goal=int(said["goal"]) if said["goal"] != "none" else 0,
        source=said["source"],
        familiar=familiar.get(said.get("known", ""), GoalStatus.UNDECIDED),
        times_usual=_number(said, "times usual"),
        text=status.message,
    )


@_converter
def trainer_progress(status: DiagnosticStatus) -> Any:
    """Return `rig/trainer/progress` as a `TrainerProgress`."""
    said = values(status)
    return TrainerProgress(
        check_fields=True,
        phase=said["phase"],
        eta=_number(said, "eta_s"),
        checkpoint=said["checkpoint"],
        explore=said["explore"] == "wanted",
        trouble=status.level != OK,
        text=status.message,
        **{name: int(said[name]) for name in ("step", "of", "steps", "episodes")},
    )


TYPED: Mapping[str, tuple[Any, Callable[[DiagnosticStatus], Any]]] = {
    "rig/arm/status": (ArmStatus, arm_status),
    "rig/goal/progress": (GoalProgress, goal_progress),
    "rig/goal/status": (GoalStatus, goal_status),
    "rig/trainer/progress": (TrainerProgress, trainer_progress),
}
"""For each topic of a status, the typed message and what makes it"""


def _number(said: Mapping[str, str], name: str) -> float:
    return float(said.get(name, math.nan))
