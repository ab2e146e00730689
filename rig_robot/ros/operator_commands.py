"""What a person can tell a robot: the service and the request behind each command of `rig tell` and the page."""

from __future__ import annotations

from typing import Any

from std_srvs.srv import SetBool, Trigger

from rig_robot.common.modes import Mode

SERVICES: dict[str, tuple[type, str, Any]] = {
    "arm": (SetBool, "arm/set_armed", SetBool.Request(data=True)),
    "disarm": (SetBool, "arm/set_armed", SetBool.Request(data=False)),
    "stop": (Trigger, "arm/estop", Trigger.Request()),
    "reset": (Trigger, "arm/reset_estop", Trigger.Request()),
    "park": (Trigger, "arm/park", Trigger.Request()),
    "clear": (Trigger, "goal/clear", Trigger.Request()),
    "recorder resume": (SetBool, "recorder/record", SetBool.Request(data=True)),
    "recorder pause": (SetBool, "recorder/record", SetBool.Request(data=False)),
    "trainer resume": (SetBool, "trainer/train", SetBool.Request(data=True)),
    "trainer pause": (SetBool, "trainer/train", SetBool.Request(data=False)),
    "trainer fine-tune": (Trigger, "trainer/fine_tune", Trigger.Request()),
}
"""Service and request of each command; every other command is a mode of the policy node."""

ONCE = ("arm", "park", Mode.REACH, Mode.EXPLORE, Mode.PRACTICE)
"""Commands that may set the arm in motion. They are never sent twice: somebody may have stopped the arm meanwhile."""
