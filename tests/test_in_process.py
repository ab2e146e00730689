"""Messages handed on in memory within one process: order, depth, latching, threads, services; QoS that cannot fit."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String
from std_srvs.srv import Trigger

from rig_robot.ros.executor import NodeExecutor, make_executor
from rig_robot.ros.in_process import InProcess, InProcessNode
from rig_robot.ros.qos import COMMAND, LATCHED, OBSERVATION


class Pair:
    """Two nodes in one process; nothing spins them, so whatever arrives has come in memory."""

    def __init__(self) -> None:
        self.shared = InProcessNode.shared = InProcess()
        self.one, self.other = InProcessNode("one"), InProcessNode("other")
        self.heard: list[Any] = []

    def texts(self) -> list[str]:
        self.shared.deliver()
        return [message.data for message in self.heard]


@pytest.fixture
def pair() -> Iterator[Pair]:
    with rclpy.init():
        pair = Pair()
        yield pair
        pair.one.destroy_node()
        pair.other.destroy_node()
    InProcessNode.shared = None


def test_a_message_arrives_as_the_object_that_was_published_and_only_once_delivered(pair: Pair) -> None:
    publisher = pair.one.create_publisher(String, "x", COMMAND)
    pair.other.create_subscription(String, "x", pair.heard.append, COMMAND)
    publisher.publish(message := String(data="hello"))
    assert not pair.heard, "no callback runs within the one that publishes"
    assert pair.texts() == ["hello"] and pair.heard[0] is message


def test_what_a_callback_publishes_comes_after_it_has_returned(pair: Pair) -> None:
    said: list[str] = []
    second = pair.other.create_publisher(String, "second", COMMAND)

    def answer(message: String) -> None:
        said.append("begins")
        second.publish(message)
        said.append("returns")

    pair.other.create_subscription(String, "first", answer, COMMAND)
    pair.one.create_subscription(String, "second", lambda message: said.append(message.data), COMMAND)
    pair.one.create_publisher(String, "first", COMMAND).publish(String(data="arrives"))
    pair.shared.deliver()
    assert said == ["begins", "returns", "arrives"]


def test_of_messages_that_nobody_takes_the_newest_stay(pair: Pair) -> None:
    publisher = pair.one.create_publisher(String, "x", OBSERVATION)
    pair.other.create_subscription(String, "x", pair.heard.append, OBSERVATION)
    for number in range(5):
        publisher.publish(String(data=str(number)))
    assert pair.texts() == ["3", "4"], "as with DDS at depth 2"


@pytest.mark.parametrize(("qos", "expected"), [(LATCHED, ["new"]), (COMMAND, [])])
def test_only_what_is_latched_reaches_who_comes_later(pair: Pair, qos: QoSProfile, expected: list[str]) -> None:
    publisher = pair.one.create_publisher(String, "x", qos)
    publisher.publish(String(data="old"))
    publisher.publish(String(data="new"))
    pair.other.create_subscription(String, "x", pair.heard.append, qos)
    assert pair.texts() == expected


def test_a_subscription_that_is_gone_hears_nothing(pair: Pair) -> None:
    publisher = pair.one.create_publisher(String, "x", COMMAND)
    subscription = pair.other.create_subscription(String, "x", pair.heard.append, COMMAND)
    publisher.publish(String(data="on its way"))
    assert pair.other.destroy_subscription(subscription)
    publisher.publish(String(data="late"))
    assert pair.texts() == []


def test_another_thread_s_message_is_delivered_by_the_thread_that_spins(pair: Pair) -> None:
    woken: list[int] = []
    pair.shared.wake = lambda: woken.append(threading.get_ident())
    publisher = pair.one.create_publisher(String, "x", COMMAND)
    pair.other.create_subscription(String, "x", pair.heard.append, COMMAND)
    thread = threading.Thread(target=publisher.publish, args=(String(data="from a camera's thread"),))
    thread.start()
    thread.join()
    assert woken == [thread.ident] and not pair.heard
    assert pair.texts() == ["from a camera's thread"]


def test_a_service_of_the_process_answers_in_memory_after_the_caller_has_returned(pair: Pair) -> None:
    def serve(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = True
        return response

    pair.one.create_service(Trigger, "~/do", serve)
    answer = pair.other.call(pair.other.create_client(Trigger, "one/do"), Trigger.Request())
    assert not answer.done()
    pair.shared.deliver()
    assert answer.done() and answer.result().success


@pytest.mark.parametrize("publisher_first", [True, False])
def test_qos_that_dds_would_not_connect_is_refused_with_the_topic(pair: Pair, publisher_first: bool) -> None:
    volatile = QoSProfile(depth=1, durability=DurabilityPolicy.VOLATILE, reliability=ReliabilityPolicy.BEST_EFFORT)

    def subscribe() -> None:
        pair.other.create_subscription(String, "rig/x", pair.heard.append, LATCHED)

    if publisher_first:
        pair.one.create_publisher(String, "rig/x", volatile)
        with pytest.raises(ValueError, match="/rig/x: its publisher does not fit its subscription: "):
            subscribe()
    else:
        subscribe()
        with pytest.raises(ValueError, match="/rig/x"):
            pair.one.create_publisher(String, "rig/x", volatile)


@pytest.mark.parametrize("alone", [True, False])
def test_the_executor_still_sees_qos_events_while_messages_come(pair: Pair, alone: bool) -> None:
    from rclpy.event_handler import SubscriptionEventCallbacks

    InProcessNode.shared = None
    context = rclpy.Context()
    context.init()
    stranger = rclpy.create_node("stranger", context=context)
    conflicts: list[Any] = []
    events = SubscriptionEventCallbacks(incompatible_qos=conflicts.append)
    pair.other.create_subscription(String, "rig/y", pair.heard.append, COMMAND, event_callbacks=events)
    ticks: list[int] = []
    pair.other.create_timer(0.002, lambda: ticks.append(0))
    executor, turn = make_executor([pair.other] if alone else [pair.one, pair.other])
    assert isinstance(executor, NodeExecutor) == alone
    for _ in range(300):  # well beyond the first look at events
        turn()
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    stranger.create_publisher(String, "rig/y", best_effort)
    for _ in range(5000):
        turn()
        if conflicts:
            break
    executor.shutdown()
    stranger.destroy_node()
    context.try_shutdown()
    assert conflicts and len(ticks) >= 300
