"""Carries the page's orders to the nodes' services, for the console node, and returns their answers."""

from __future__ import annotations

import array
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage
from std_srvs.srv import Trigger

from rig_robot.checkpoint_delivery.announcer import Announcer
from rig_robot.common.message_fields import values
from rig_robot.page.desk import Outcome
from rig_robot.ros.node import RigNode
from rig_robot.ros.operator_commands import ONCE, SERVICES
from rig_robot.ros.qos import COMMAND

ORDERS = {name: SERVICES[name] for name in SERVICES if name != "stop"} | {
    "capture": (Trigger, "goal/capture", Trigger.Request())
}
"""The stop goes by its topic, and not through here."""
MODE = "policy/set_parameters"
LOOK = 0.05
"""Time between two looks for answers [s]."""
AGAIN = 1.0
"""Time after which an order without an answer is given again, where it may be [s]."""
PATIENCE = 6.0
"""Longest wait for an answer [s]: the arm drives and brakes before it answers, and a busy computer is slow."""


@dataclass
class _Order:
    """An order that waits for its answer."""

    command: str
    client: Any
    request: Any
    answer: Future[Outcome]
    began: float
    asked: float
    futures: list[Any] = field(default_factory=list)


class Orders:
    """Gives orders. Its methods may be called in any thread; the work is done in the node's own.

    Args:
        node: The console node.
        root: Root of checkpoints to switch between; None where there is but one.
    """

    def __init__(self, node: RigNode, root: Path | None) -> None:
        self._node = node
        self._clients: dict[str, Any] = {
            service: node.create_client(kind, service) for kind, service, _ in ORDERS.values()
        }
        self._clients[MODE] = node.create_client(SetParameters, MODE)
        self._waiting: list[_Order] = []
        self._goals = node.publisher(CompressedImage, "rig/goal/image_in/compressed", COMMAND)
        self._sent: list[tuple[int, Future[Outcome], float]] = []  # bytes, answer, when it was sent
        self._announcer = Announcer(node, root) if root is not None else None
        node.every(LOOK, self._look)

    def tell(self, command: str) -> Future[Outcome]:
        """Give an order: a key of `ORDERS`, or a mode of the policy."""
        return self._do(self._tell, command)

    def send_goal(self, data: bytes) -> Future[Outcome]:
        """Send a picture to the goal node."""
        return self._do(self._send_goal, data)

    def switch(self, checkpoint: str) -> Future[Outcome]:
        """Make another checkpoint of the root current."""
        return self._do(self._switch, checkpoint)

    def _do(self, work: Any, argument: Any) -> Future[Outcome]:
        answer: Future[Outcome] = Future()
        executor = self._node.executor
        if executor is None:
            answer.set_result(Outcome(False, "the console is still starting"))
        else:
            executor.create_task(work, argument, answer)
        return answer

    def _tell(self, command: str, answer: Future[Outcome]) -> None:
        if command in ORDERS:
            _, service, request = ORDERS[command]
        else:
            service = MODE
            request = SetParameters.Request(parameters=[Parameter("mode", value=command).to_parameter_msg()])
        client = self._clients[service]
        if not client.service_is_ready():
            answer.set_result(
                Outcome(False, f"there is no service {service}: is the node {service.split('/')[0]} running?")
            )
            return
        now = time.monotonic()
        order = _Order(command, client, request, answer, now, now)
        order.futures.append(client.call_async(request))
        self._waiting.append(order)

    def _send_goal(self, data: bytes, answer: Future[Outcome]) -> None:
        if not self._goals.get_subscription_count():
            answer.set_result(Outcome(False, "no goal node is heard: is the system running?"))
            return
        message = CompressedImage(format="png" if data.startswith(b"\x89PNG") else "jpeg")
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.data = array.array("B", data)
        self._sent.append((len(data), answer, time.monotonic()))
        self._goals.publish(message)

    def _switch(self, checkpoint: str, answer: Future[Outcome]) -> None:
        if self._announcer is None:
            answer.set_result(Outcome(False, "there is but one checkpoint, and no root of several"))
            return
        try:
            self._announcer.announce(checkpoint, lambda done: answer.set_result(Outcome(done.accepted, done.text)))
        except (ValueError, OSError) as error:
            answer.set_result(Outcome(False, str(error)))

    def hear_goal_status(self, status: DiagnosticStatus) -> None:
        """Take the goal node's answers; one to a picture that was sent from here names its bytes."""
        said = values(status)
        if said.get("source") != "image_in/compressed":
            return
        for sent in self._sent:
            if said.get("bytes") == str(sent[0]):
                self._sent.remove(sent)
                sent[1].set_result(Outcome(status.level != DiagnosticStatus.ERROR, status.message))
                return

    def _look(self) -> None:
        """Pass on the answers that have come, and give up on those that do not."""
        now = time.monotonic()
        for order in list(self._waiting):
            done = next((future for future in order.futures if future.done()), None)
            if done is not None:
                self._finish(order, _outcome(order.command, done.result()))
            elif now - order.began > PATIENCE:
                also = "; it may have done it all the same" if order.command in ONCE else ""
                self._finish(order, Outcome(False, f"no answer within {PATIENCE:g} s{also}"))
            elif now - order.asked > AGAIN and order.command not in (*ONCE, "capture"):
                order.asked = now
                order.futures.append(order.client.call_async(order.request))
        for sent in list(self._sent):
            if now - sent[2] > PATIENCE:
                self._sent.remove(sent)
                sent[1].set_result(Outcome(False, f"the goal node did not answer within {PATIENCE:g} s"))

    def _finish(self, order: _Order, outcome: Outcome) -> None:
        self._waiting.remove(order)
        order.answer.set_result(outcome)


def _outcome(command: str, answer: Any) -> Outcome:
    """Return a service's answer as an outcome."""
    if hasattr(answer, "results"):
        result = answer.results[0]
        return Outcome(result.successful, result.reason or f"mode {command}")
    return Outcome(answer.success, answer.message)
