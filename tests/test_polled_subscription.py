"""Messages that wait until they are polled: none wakes the process up, and each says for how long it has waited."""

import time

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from ros_harness import Listener
from std_msgs.msg import UInt8

from rig_robot.ros.node import RigNode
from rig_robot.ros.polled_subscription import LONGEST_WAIT, PolledSubscription, waited
from rig_robot.ros.qos import JOINT_STATES


def test_messages_wait_oldest_first_and_say_for_how_long(listener: Listener) -> None:
    rclpy.init()
    node, executor, called = RigNode("polls"), SingleThreadedExecutor(), list[UInt8]()
    executor.add_node(node)
    try:
        polled = PolledSubscription(node, UInt8, "numbers", JOINT_STATES, called.append)
        publisher = listener.node.create_publisher(UInt8, "numbers", JOINT_STATES)

        def connected() -> bool:
            publisher.publish(UInt8(data=255))
            return bool(polled.take())

        listener.until(connected, "a first number")
        time.sleep(0.1)
        polled.take()
        for number in range(3):
            publisher.publish(UInt8(data=number))
            time.sleep(0.1)
        for _ in range(5):
            executor.spin_once(timeout_sec=0.02)
        assert not called, "the executor ran the callback"
        numbers, waited = zip(*((message.data, waited) for message, waited in polled.take()), strict=True)
        assert numbers == (0, 1, 2)
        assert waited[0] > waited[1] > waited[2] > 0.09
        assert waited[0] - waited[2] == pytest.approx(0.2, abs=0.1)
        assert not polled.take()
        publisher.publish(UInt8(data=3))

        def called_back() -> bool:
            polled.poll()
            return bool(called)

        listener.until(called_back, "a callback")
        assert called[0].data == 3
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()


def test_a_clock_that_is_set_makes_no_wait_negative_or_long() -> None:
    now = time.time_ns()
    assert waited(now - 20_000_000, now) == pytest.approx(0.02)
    assert waited(now + 3_600_000_000_000, now) == 0.0
    assert waited(now - 3_600_000_000_000, now) == LONGEST_WAIT
    assert waited(0, now) == 0.0, "a middleware that does not say when it received a message"
