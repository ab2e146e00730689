"""Joint states: an arm's joints are found by name in any order; what does not say where they are is refused."""

import numpy as np
import pytest
from sensor_msgs.msg import JointState

from rig_robot.messages.joint_states import BadJointState, JointStateReader


def test_joints_are_found_by_name_though_the_order_changes_and_others_stand_between() -> None:
    reader = JointStateReader(["a", "b"])
    np.testing.assert_array_equal(reader.read(JointState(name=["a", "b"], position=[1.0, 2.0])), [1.0, 2.0])
    np.testing.assert_array_equal(reader.read(JointState(name=["b", "c", "a"], position=[4.0, 5.0, 3.0])), [3.0, 4.0])
    np.testing.assert_array_equal(reader.read(JointState(name=["a", "b"], position=[1.0, 2.0])), [1.0, 2.0])


def test_a_message_of_other_joints_changes_nothing() -> None:
    reader = JointStateReader(["a", "b"])
    assert reader.read(JointState(name=["gripper"], position=[0.1])) is None
    assert reader.read(JointState(name=["a"], position=[0.1])) is None
    assert reader.read(JointState()) is None


def test_a_joint_that_is_named_twice_is_refused_each_time() -> None:
    reader = JointStateReader(["a", "b"])
    for _ in range(2):
        with pytest.raises(BadJointState, match="names a more than once"):
            reader.read(JointState(name=["a", "b", "a"], position=[1.0, 2.0, 3.0]))


@pytest.mark.parametrize("positions", [[], [1.0], [1.0, 2.0, 3.0]])
def test_names_without_a_position_each_are_refused(positions: list[float]) -> None:
    reader = JointStateReader(["a", "b"])
    reader.read(JointState(name=["a", "b"], position=[1.0, 2.0]))
    with pytest.raises(BadJointState, match=f"2 names and {len(positions)} positions"):
        reader.read(JointState(name=["a", "b"], position=positions))
