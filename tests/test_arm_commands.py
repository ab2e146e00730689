"""What the arm sends its controller (no ROS graph here)."""

from __future__ import annotations

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rclpy.duration import Duration

from rig_robot.arm.commands import JointCommand
from rig_robot.messages.arm_commands import INTERFACES


@pytest.mark.parametrize(("late", "ahead"), [(0.0, 0.02), (0.003, 0.017), (0.5, 0.01), (-1.0, 0.02)])
def test_the_times_of_a_trajectory_count_from_when_the_command_was_due(late: float, ahead: float) -> None:
    command = JointCommand(np.zeros(2), np.ones(2), "", np.full(2, 0.02), 0.04)
    message = INTERFACES["joint_trajectory"](["a", "b"], 0.01, "base").write(command, Time(), late)
    times = [1e-9 * Duration.from_msg(point.time_from_start).nanoseconds for point in message.points]
    assert times == pytest.approx([ahead, ahead + 0.04])
