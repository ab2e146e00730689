"""A short visit to a running system: a node for as long as one command of `rig` takes."""

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

ASK_AGAIN = 1.0
"""Time after which a request that has no answer is sent again [s]."""


class NobodyThere(Exception):
    """What the visit was for did not answer; the text says what and how long it was waited for."""


class Visit:
    """A node that spins only while something is waited for.

    Args:
        name: Of the node.
        namespace: ROS namespace of the robot.
        timeout: How long anything is waited for [s].
    """

    def __init__(self, name: str, namespace: str, timeout: float) -> None:
        self._name, self._namespace, self._timeout = name, namespace.strip("/"), timeout

    def __enter__(self) -> Visit:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # Ctrl-C is the command line's
        self.node = Node(self._name, namespace=self._namespace)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        rclpy.try_shutdown()

    def until(self, condition: Callable[[], object], seconds: float | None = None) -> bool:
        """Spin until a condition holds, at most so long [s]; return whether it does."""
        end = time.monotonic() + (self._timeout if seconds is None else seconds)
        while not condition() and time.monotonic() < end:
            rclpy.spin_once(self.node, timeout_sec=0.05)
        return bool(condition())

    def call(self, kind: Any, service: str, request: Any, repeat: bool) -> Any:
        """Call a service and return its response.

        Both sides find each other at their own time: a node that does not know yet where its answer goes does what it
        was asked, and the answer is lost (rmw_fastrtps issue 842).

        Args:
            kind: Of the service.
            service: Its name.
            request: What is asked.
            repeat: Whether to ask again, every `ASK_AGAIN`, until there is an answer. For what may be done twice only.

        Raises:
            NobodyThere: If the service is not there or does not answer in time.
        """
        client: Client = self.node.create_client(kind, service)
        name = self.node.resolve_service_name(service)
        if not self.until(client.service_is_ready):
            raise NobodyThere(
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
        raise NobodyThere(f"{name} did not answer within {self._timeout:g} s{lost}{hint(os.environ)}")
