"""Provides the life cycle of ROS 2 for nodes that own hardware or files: such a node works only while it is active.

The states and transitions are those of design.ros2.org/articles/node_lifecycle.html. What a node needs, it gets when it
is built, as every node here; a parameter that it cannot start with ends it. So configuring and cleaning up do nothing,
and a node without a manager activates itself.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable

from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn

from rig_robot.ros.executor import SELDOM
from rig_robot.ros.node import RigNode

FAREWELL = 1.0
"""Time for which a node that is shut down goes on, so that the answer to its manager arrives [s]"""


class ManagedNode(LifecycleNodeMixin, RigNode):
    """A node that can be configured, activated, deactivated and shut down from outside.

    A subclass calls `begin_life` at the end of its constructor, looks at `active` before it works, and overrides
    `on_deactivated`, which must leave nothing moving or open.
    """

    active = False
    """Whether the node may work"""
    _managed = False
    """Whether transitions come from outside now; the node's own at its start need no line in the log"""

    def __init__(self, name: str) -> None:
        RigNode.__init__(self, name)
        self._autostart = self.declare(
            "autostart", True, "Become active at once; else wait for `ros2 lifecycle set NODE configure`, `activate`."
        )

    def begin_life(self) -> None:
        """Offer the transitions; without a manager, go through the first two."""
        LifecycleNodeMixin.__init__(self, callback_group=SELDOM)
        if self._autostart:
            self.trigger_configure()
            self.trigger_activate()
        self._managed = True

    def on_deactivated(self) -> None:
        """Stop what the node does."""

    def destroy_node(self) -> None:
        """Destroy the node; the state machine, which rclpy leaves, would keep it alive."""
        if hasattr(self, "_state_machine"):  # else its life had not begun
            self._state_machine.destroy_when_not_in_use()
        super().destroy_node()

    def inactive(self) -> str | None:
        if self.active:
            return None
        _, label = self._state_machine.current_state
        step = "configure" if label == "unconfigured" else "activate"
        return f"{label}, does nothing: ros2 lifecycle set {self.get_fully_qualified_name()} {step}"

    # Transitions

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to work."""
        self.active = True
        if self._managed:
            self.get_logger().info("activated")
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop working, until the node is activated again."""
        self.active = False
        return self._try("deactivated", self.on_deactivated)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop working, and end the process once the answer has had time to arrive."""
        self.active = False
        ended = self._try("shut down", self.on_deactivated)
        self.every(FAREWELL, lambda: self.end(0))
        return ended

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Go on unconfigured and inactive."""
        self.active = False
        return TransitionCallbackReturn.SUCCESS

    def _try(self, what: str, act: Callable[[], None]) -> TransitionCallbackReturn:
        """Act; an exception, which rclpy would swallow, is logged with its traceback."""
        try:
            act()
        except Exception:
            self.get_logger().error(f"not {what} in order:\n{traceback.format_exc()}")
            return TransitionCallbackReturn.ERROR
        self.get_logger().info(what)
        return TransitionCallbackReturn.SUCCESS
