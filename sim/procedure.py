"""Runs a procedure of several steps in a node: each step waits for a condition, while callbacks go on."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from rclpy.client import Client
from rclpy.task import Future

from rig_robot.ros.node import RigNode

START_TIMEOUT = 60.0
"""Time within which the other nodes must start [s]."""
ASK_AGAIN = 2.0
"""Time after which an unanswered message is sent again [s]."""


T = TypeVar("T")
Procedure = Generator[Callable[[], Any], None, T]
"""A procedure of several steps: each `yield` gives the condition that the next step waits for."""


class NotReady(RuntimeError):
    """The other nodes did not start, or rejected a request; the text says which."""


class ProcedureNode(RigNode, ABC):
    """Does what a subclass's `_procedure` says, and ends the process after it: with 0, or 1 where it failed."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._steps: Procedure[None] | None = None
        self._wait: Callable[[], Any] = lambda: True
        self.every(0.05, self._continue)

    @abstractmethod
    def _procedure(self) -> Procedure[None]:
        """Give the steps, in order."""

    def _call(self, client: Client, request: Any) -> Procedure[Any]:
        """Call a service until it answers, since a node that is restarting may miss a call."""
        answers: list[Future] = []
        yield from self._ask(
            lambda: answers.append(client.call_async(request)),
            lambda: any(answer.done() for answer in answers),
            f"answer of {client.srv_name}",
        )
        return next(answer.result() for answer in answers if answer.done())

    def _ask(self, send: Callable[[], None], answered: Callable[[], Any], what: str) -> Procedure[None]:
        """Send repeatedly until there is an answer."""
        end = time.monotonic() + START_TIMEOUT
        while not answered():
            if time.monotonic() > end:
                raise NotReady(f"no {what} within {START_TIMEOUT:g} s")
            send()
            again = time.monotonic() + ASK_AGAIN
            yield lambda again=again: answered() or time.monotonic() > again  # type: ignore[misc]

    def _wait_for(self, condition: Callable[[], Any], what: str) -> Procedure[None]:
        end = time.monotonic() + START_TIMEOUT
        yield lambda: condition() or time.monotonic() > end
        if not condition():
            raise NotReady(f"no {what} within {START_TIMEOUT:g} s")

    def _continue(self) -> None:
        try:
            self._steps = self._steps or self._procedure()
            while self._wait():
                self._wait = next(self._steps)
        except StopIteration:
            self.end(0)
        except NotReady as error:
            self.get_logger().error(str(error))
            self.end(1)
