"""Camera, arm and recorder have the life cycle of ROS 2: they work only while they are active."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.lifecycle import TransitionCallbackReturn
from ros_harness import NO_CAMERA, Listener, NodeProcess, node_process
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool, Trigger
from test_arm_node import PARAMETERS

from rig_robot.common.message_fields import values
from rig_robot.messages.images import rgb_to_image
from rig_robot.ros.executor import make_executor
from rig_robot.ros.lifecycle import FAREWELL, ManagedNode
from rig_robot.ros.qos import LATCHED, OBSERVATION

ACTIVATE, DEACTIVATE = Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_DEACTIVATE


class Manager:
    """Sends a node through its life, and asks where it is."""

    def __init__(self, listener: Listener, node: str) -> None:
        self.listener, self.node = listener, node

    def change(self, transition: int) -> bool:
        return self.listener.call(
            ChangeState, f"{self.node}/change_state", ChangeState.Request(transition=Transition(id=transition))
        ).success

    def state(self) -> int:
        return self.listener.call(GetState, f"{self.node}/get_state").current_state.id


@pytest.fixture(scope="module")
def arm() -> Iterator[NodeProcess]:
    with node_process("rig_sim.robot_node", NO_CAMERA), node_process("rig_robot.nodes.arm", PARAMETERS) as process:
        yield process


def armed(listener: Listener, wanted: bool = True) -> tuple[bool, str]:
    answer = listener.call(SetBool, "arm/set_armed", SetBool.Request(data=wanted))
    return answer.success, answer.message


def test_an_arm_is_active_at_once_and_can_be_armed(arm: NodeProcess, listener: Listener) -> None:
    assert Manager(listener, "arm").state() == State.PRIMARY_STATE_ACTIVE
    listener.until(lambda: armed(listener)[0], "the arm is armed")


def test_an_arm_that_is_not_active_is_disarmed_and_cannot_be_armed(arm: NodeProcess, listener: Listener) -> None:
    manager, states = Manager(listener, "arm"), listener.hear(DiagnosticStatus, "rig/arm/status", LATCHED)
    listener.until(lambda: armed(listener)[0], "the arm is armed")
    assert manager.change(DEACTIVATE)
    listener.until(lambda: states and values(states[-1])["state"] == "disarmed", "the arm is disarmed")
    assert values(states[-1])["reason"] == "the arm node was deactivated"
    done, why = armed(listener)
    assert not done and "inactive" in why and "ros2 lifecycle set /arm activate" in why
    heard = listener.hear(DiagnosticArray, "/diagnostics", 10)
    said = listener.until(
        lambda: [status for message in heard for status in message.status if status.name == "arm"], "its health"
    )
    assert said[0].level == DiagnosticStatus.WARN and "inactive" in said[0].message
    assert manager.change(ACTIVATE) and armed(listener)[0]


def test_deactivating_and_activating_resets_no_emergency_stop(arm: NodeProcess, listener: Listener) -> None:
    manager = Manager(listener, "arm")
    assert listener.call(Trigger, "arm/estop").success
    assert manager.change(DEACTIVATE)
    assert manager.change(ACTIVATE)
    done, why = armed(listener)
    assert not done and "emergency stop is latched" in why
    assert listener.call(Trigger, "arm/reset_estop").success


def test_a_transition_that_is_none_of_now_is_refused(arm: NodeProcess, listener: Listener) -> None:
    manager = Manager(listener, "arm")
    assert not manager.change(ACTIVATE) and manager.state() == State.PRIMARY_STATE_ACTIVE
    assert armed(listener)[0] and armed(listener, False)[0]


def test_a_camera_waits_for_its_manager_where_it_is_told_to(checkpoint: Path, listener: Listener) -> None:
    parameters = {"checkpoint": str(checkpoint), "autostart": False}
    with node_process("rig_robot.nodes.camera", parameters) as node:
        manager = Manager(listener, "camera")
        frames = listener.node.create_publisher(Image, "camera/image_raw", OBSERVATION)
        seen = listener.hear(Image, "rig/observation/image", OBSERVATION)
        listener.until(frames.get_subscription_count, "the camera listens")
        listener.until_heard("rig/observation/image")

        def show() -> None:
            picture = np.full((480, 640, 3), 128, np.uint8)
            frames.publish(rgb_to_image(picture, listener.node.get_clock().now().to_msg(), "camera"))
            listener.spin(0.1)

        def watched() -> bool:
            show()
            return bool(seen)

        assert manager.state() == State.PRIMARY_STATE_UNCONFIGURED
        for _ in range(5):
            show()
        assert not seen
        assert manager.change(Transition.TRANSITION_CONFIGURE) and manager.change(ACTIVATE)
        listener.until(watched, "observations")
        assert manager.change(Transition.TRANSITION_ACTIVE_SHUTDOWN)
        assert node.wait() == 0


class Failing(ManagedNode):
    """Cannot be deactivated in order."""

    def on_deactivated(self) -> None:
        raise OSError("the disk is full")


def test_an_error_in_a_transition_is_logged_with_its_traceback(
    listener: Listener, capfd: pytest.CaptureFixture[str]
) -> None:
    import rclpy

    rclpy.init()
    node = Failing("failing")
    node.begin_life()
    assert node.active
    assert node.trigger_deactivate() == TransitionCallbackReturn.ERROR
    assert not node.active and node.inactive() is not None
    listener.until(lambda: "failing" in listener.node.get_node_names(), "it is there")
    node.destroy_node()
    listener.until(lambda: "failing" not in listener.node.get_node_names(), "it is gone")
    rclpy.shutdown()
    said = capfd.readouterr().err
    assert "not deactivated in order" in said and "OSError: the disk is full" in said and "Traceback" in said


def test_a_node_that_is_shut_down_goes_on_until_its_manager_has_the_answer() -> None:
    import rclpy

    rclpy.init()
    node = ManagedNode("ending")
    node.begin_life()
    executor, turn = make_executor([node])
    try:
        assert node.trigger_shutdown() == TransitionCallbackReturn.SUCCESS
        assert not node.active and not node.ended.done()
        end = time.monotonic() + 10 * FAREWELL
        while not node.ended.done() and time.monotonic() < end:
            turn()
        assert node.ended.done() and node.ended.result() == 0
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown()
