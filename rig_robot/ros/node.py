"""Provides what every node shares: described parameters, health on /diagnostics, QoS that is looked after."""

from __future__ import annotations

import contextlib
import difflib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks, UnsupportedEventTypeError
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.parameter import Parameter
from rclpy.qos import QoSPolicyKind, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.task import Future
from rclpy.timer import Timer

from rig_robot.common.node_name_claim import claim
from rig_robot.messages.diagnostics import ERROR, OK, WARN, diagnostic
from rig_robot.ros.in_process import InProcessNode
from rig_robot.ros.startup_errors import startup_errors

NEWCOMER = 5.0
"""A node that discovers another one of its name so soon after its own start ends; the other one goes on [s]."""


SPINS_WITHIN = 60.0
"""Longest time from the end of work in the background until the node begins to spin [s]."""
_OVERRIDABLE = QoSOverridingOptions(
    (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY, QoSPolicyKind.DURABILITY)
)
"""Parts of a topic's QoS that parameters may override: `qos_overrides./TOPIC.subscription.depth`"""


class BadParameter(ValueError):
    """A parameter has a value that the node cannot start with; the text names it, its value and a right one."""


class RigNode(InProcessNode):
    """A node with described parameters, which publishes its health on /diagnostics once a second.

    A subclass overrides `health`, and may override `stop`, which is called once before the process ends.
    """

    def __init__(self, name: str) -> None:
        with startup_errors():
            super().__init__(name)
        self.ended: Future = Future()
        self._checks: dict[str, Callable[[Any], str | None]] = {}
        self._qos_conflicts: dict[str, str] = {}
        self.outlive_starter = self.declare(
            "outlive_starter", False, "Go on when the process that started this node dies; otherwise it stops then."
        )
        self.hardware_id = "none"
        """What /diagnostics says of the hardware behind this node; none: it is software"""
        self._began = time.monotonic()
        self._duplicate_count = 0
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.add_on_set_parameters_callback(self._check_parameters)
        self.every(1.0, self._publish_health)
        self.every(0.25, self._check_for_duplicate_name)

    def health(self) -> tuple[bytes, str, dict[str, Any]]:
        """Return level, one sentence and values for /diagnostics."""
        return OK, "running", {}

    def inactive(self) -> str | None:
        """Return why the node does nothing and what to do about it; None where it works."""
        return None

    def claim_name(self) -> None:
        """Claim this node's full name on this machine until the process ends.

        Raises:
            NameTaken: If another node has it.
        """
        self._name_claimed = claim(self.get_fully_qualified_name())

    def duplicate_name(self) -> str | None:
        """Return an error text where another node of this node's full name is alive; None where there is none."""
        own = (self.get_name(), self.get_namespace())
        if self.get_node_names_and_namespaces().count(own) < 2:
            return None
        return (
            f"another node is named {self.get_fully_qualified_name()}: two systems mix. Give one of them a namespace "
            "or a ROS_DOMAIN_ID of its own"
        )

    def on_duplicate_name(self, text: str) -> None:
        """React to another node of this node's name; `text` describes the error for people."""

    def every(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back periodically, by the steady clock [s]; return the timer.

        An ordinary timer goes by ROS time: when the clock is set back by an hour, it does not fire for an hour.
        """
        return self.create_timer(seconds, callback, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def run_in_background(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Do slow work in a thread, then call `done` in the node's own thread with the result or the exception."""

        def do() -> None:
            try:
                result = work()
            except Exception as error:
                result = error
            end = time.monotonic() + SPINS_WITHIN
            while (executor := self.executor) is None and time.monotonic() < end:  # the node is still being built
                time.sleep(0.01)
            if executor is not None:
                executor.create_task(done, result)

        threading.Thread(target=do, daemon=True).start()

    def end(self, status: int) -> None:
        """End the process with an exit status, once the running callback has returned."""
        if not self.ended.done():
            self.ended.set_result(status)

    def stop(self) -> None:
        """Shut down what the node has started; called once before the process ends."""

    def declare(
        self,
        name: str,
        default: Any,
        text: str,
        *,
        low: float | None = None,
        high: float | None = None,
        choices: Sequence[str] | None = None,
        check: Callable[[Any], str | None] | None = None,
        read_only: bool = True,
    ) -> Any:
        """Declare a parameter and return its value.

        Args:
            name: The parameter's name.
            default: Its default, or a `Parameter.Type` where there is none and a value must be given.
            text: One sentence for `ros2 param describe`, with the unit.
            low: Smallest value of a number.
            high: Largest value of a number.
            choices: The values that a text may have.
            check: Returns what is wrong with a new value; None where it is valid.
            read_only: Whether the value is fixed once the node runs.

        Raises:
            BadParameter: If the value given at the start is missing or not valid.
        """
        if choices is not None:
            allowed = tuple(choices)
            text = f"{text} One of: {', '.join(allowed)}."

            def check(value: Any) -> str | None:
                return None if value in allowed else f"must be one of {', '.join(allowed)}"

        descriptor = ParameterDescriptor(description=text, read_only=read_only)
        required = isinstance(default, Parameter.Type)
        kind = default if required else Parameter(name, value=default).type_
        if low is not None and high is not None:
            if kind is Parameter.Type.INTEGER:
                descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
            elif kind is Parameter.Type.DOUBLE:
                descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
        if check is not None:
            self._checks[name] = check
        try:
            value = self.declare_parameter(name, default, descriptor).value
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            limits = f", from {low} to {high}" if low is not None else ""
            raise BadParameter(f"parameter {name}: {error} ({text} A {kind.name.lower()}{limits}.)") from None
        if value is None:
            raise BadParameter(f"parameter {name} must be given: {text}")
        return value

    def refuse_unknown_parameters(self) -> None:
        """Reject given parameters that this node does not declare: a typo in a bound's name must not go unnoticed.

        QoS overrides of topics that it does not have are warned of: files with those may be for other nodes, too.

        Raises:
            BadParameter: If there is one; the text names it and the most similar name.
        """
        declared = [name for name in self._parameters if not name.startswith("qos_overrides.")]
        for name in sorted(self._parameter_overrides.keys() - self._parameters.keys()):
            if name.startswith("qos_overrides."):
                self.get_logger().warning(f"parameter {name} does nothing: this node has no such topic or policy")
                continue
            near = difflib.get_close_matches(name, declared, n=1)
            hint = f"did you mean {near[0]}?" if near else f"these are: {', '.join(sorted(declared))}"
            raise BadParameter(f"parameter {name} is unknown to node {self.get_name()}: {hint}")

    def subscribe(
        self,
        kind: type,
        topic: str,
        callback: Callable[..., None],
        qos: QoSProfile,
        missed: Callable[[int], None] | None = None,
        group: CallbackGroup | None = None,
    ) -> Any:
        """Subscribe, and report a publisher whose QoS does not fit on /diagnostics.

        Args:
            kind: The type of the messages.
            topic: The topic.
            callback: Called with each message.
            qos: The QoS that is asked for.
            missed: Called with the number of messages that the middleware has missed, where it counts them.
            group: The callback group, if not the node's own.
        """
        events = SubscriptionEventCallbacks(
            incompatible_qos=lambda event: self._note_conflict(topic, "publisher", event),
            message_lost=missed and (lambda event: missed(event.total_count_change)),
        )
        options: dict[str, Any] = {"event_callbacks": events, "qos_overriding_options": _OVERRIDABLE}
        options["callback_group"] = group
        with self._qos_errors(topic, "subscription"):
            try:
                return self.create_subscription(kind, topic, callback, copy(qos), **options)
            except UnsupportedEventTypeError:
                events.message_lost = None
                return self.create_subscription(kind, topic, callback, copy(qos), **options)

    def publisher(self, kind: type, topic: str, qos: QoSProfile) -> Any:
        """Create a publisher, and report a subscriber whose QoS does not fit on /diagnostics."""
        events = PublisherEventCallbacks(incompatible_qos=lambda event: self._note_conflict(topic, "subscriber", event))
        with self._qos_errors(topic, "publisher"):
            return self.create_publisher(
                kind, topic, copy(qos), event_callbacks=events, qos_overriding_options=_OVERRIDABLE
            )

    @contextlib.contextmanager
    def _qos_errors(self, topic: str, what: str) -> Iterator[None]:
        """Name the topic in the error of a QoS override that is none."""
        try:
            yield
        except InvalidParameterTypeException as error:
            raise BadParameter(str(error)) from None
        except RuntimeError as error:
            if not str(error).startswith("Unexpected QoS override"):
                raise
            raise BadParameter(f"parameter qos_overrides.{self.resolve_topic_name(topic)}.{what}: {error}") from None

    def now(self) -> float:
        """Return ROS time [s]."""
        return 1e-9 * self.get_clock().now().nanoseconds

    def _check_for_duplicate_name(self) -> None:
        if (text := self.duplicate_name()) is None:
            self._duplicate_count = 0
            return
        self._duplicate_count += 1
        if self._duplicate_count == 2:  # seen twice: it is not one that is just ending
            self.get_logger().error(text)
            self.on_duplicate_name(text)
            if time.monotonic() - self._began < NEWCOMER:
                self.end(2)

    def _note_conflict(self, topic: str, other: str, event: Any) -> None:
        policy = getattr(event.last_policy_kind, "name", event.last_policy_kind)
        text = f"a {other}'s {policy} does not fit: nothing passes between it and this node"
        if self._qos_conflicts.get(topic) != text:
            self._qos_conflicts[topic] = text
            self.get_logger().warning(f"{topic}: {text}")

    def _publish_health(self) -> None:
        level, text, values = self.health()
        if (why := self.inactive()) is not None:
            level, text = WARN, why
        if self._duplicate_count and (duplicate := self.duplicate_name()):
            level, text = ERROR, duplicate
        if self._qos_conflicts:
            level = max(level, WARN)
            values = values | {f"incompatible QoS on {topic}": why for topic, why in self._qos_conflicts.items()}
        name = self.get_fully_qualified_name().lstrip("/")
        message = DiagnosticArray(status=[diagnostic(name, level, text, values, self.hardware_id)])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def _check_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            wrong = self._checks[parameter.name](parameter.value) if parameter.name in self._checks else None
            if wrong:
                return SetParametersResult(successful=False, reason=f"{parameter.name} = {parameter.value!r}: {wrong}")
        return SetParametersResult(successful=True)
