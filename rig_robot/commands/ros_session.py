"""A ROS node that lives for one `rig` command, with which the command talks to a running system."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import rclpy
from rclpy.client import Client
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from rig_robot.bringup.other_users import hint
from rig_robot.ros.startup_errors import startup_errors

ASK_AGAIN = 1.0
"""Time after which a request without an answer is sent again [s]."""


class NoAnswerError(Exception):
    """A service is missing or did not answer; the text names the service and the time that was waited."""


class RosSession:
    """A node that spins only while the command waits for something.

    Args:
        name: Name of the node.
        namespace: ROS namespace of the robot.
        timeout: Longest wait for a service, an answer or a message [s].
    """

    def __init__(self, name: str, namespace: str, timeout: float) -> None:
        self._name, self._namespace, self._timeout = name, namespace.strip("/"), timeout

    def __enter__(self) -> RosSession:
        with startup_errors():
            rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # the command line handles Ctrl-C
            self.node = Node(self._name, namespace=self._namespace)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        rclpy.try_shutdown()

    def until(self, condition: Callable[[], object], seconds: float | None = None) -> bool:
        """Spin until a condition holds or `seconds` have passed (`timeout` when not given); return whether it holds."""
        end = time.monotonic() + (self._timeout if seconds is None else seconds)
        while not condition() and time.monotonic() < end:
            rclpy.spin_once(self.node, timeout_sec=0.05)
        return bool(condition())

    def call(self, kind: Any, service: str, request: Any, repeat: bool) -> Any:
        """Call a service and return its response.

        Client and server discover each other independently. A server that has not yet discovered the client carries
        out the request, and its answer is lost (rmw_fastrtps issue 842); hence `repeat`.

        Args:
            kind: Type of the service.
            service: Name of the service.
            request: The request to send.
            repeat: Whether to send the request again every `ASK_AGAIN` until an answer comes. Only for requests that
                may be carried out twice.

        Raises:
            NoAnswerError: If there is no such service, or it does not answer in time.
        """
        client: Client = self.node.create_client(kind, service)
        name = self.node.resolve_service_name(service)
        if not self.until(client.service_is_ready):
            raise NoAnswerError(
                f"no service {name} within {self._timeout:g} s: is the system running in this ROS domain?"
                f"{hint(os.environ)}"
            )
        end = time.monotonic() + self._timeout
        futures: list[Future] = []
        while (left := end - time.monotonic()) > 0:
            futures.append(client.call_async(request))
            if self.until(lambda: any(future.done() for future in futures), min(left, ASK_AGAIN) if repeat else left):
                return next(future.result() for future in futures if future.done())
        lost = "" if repeat else "; it may have done it all the same"
        raise NoAnswerError(f"{name} did not answer within {self._timeout:g} s{lost}{hint(os.environ)}")
