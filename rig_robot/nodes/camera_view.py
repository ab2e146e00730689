"""Compares the camera node's observations with the view that the running checkpoint was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus

from rig_robot.checkpoint_delivery.answers import AnswerState
from rig_robot.checkpoints.compatibility import checkpoint_directory
from rig_robot.common.message_fields import values
from rig_robot.ros.node import RigNode
from rig_robot.ros.qos import EPISODES
from rig_robot.vision.view_check import Reference, ViewChange, reference
from rig_robot.vision.view_monitor import ViewMonitor


class ViewComparison:
    """Compares observations with the reference of the running checkpoint, also after a swap.

    Args:
        node: The camera node.
        checkpoint: Directory of the checkpoint.
        comparable: Whether observations have the size of the checkpoint's; others are not compared.
    """

    def __init__(self, node: RigNode, checkpoint: Path, comparable: bool) -> None:
        self._node, self._root, self._comparable = node, checkpoint.parent, comparable
        self._watch: ViewMonitor | None = None
        self._follow(reference(checkpoint))
        node.subscribe(DiagnosticStatus, "rig/checkpoint/ready", self._on_checkpoint, EPISODES)

    @property
    def change(self) -> ViewChange | None:
        """Return how the view differs from the reference; None where that is not known."""
        return self._watch.change if self._watch is not None else None

    def show(self, observation: np.ndarray) -> None:
        """Take an observation, uint8 [S, S, 3] RGB, into the comparison."""
        if self._watch is not None:
            self._watch.show(observation)

    def stop(self) -> None:
        """End the thread that compares."""
        if self._watch is not None:
            self._watch.stop()

    def _on_checkpoint(self, message: DiagnosticStatus) -> None:
        """Load the reference of a checkpoint that has become the running one."""
        said = values(message)
        if said.get("state") == AnswerState.ACTIVE:
            self._node.run_in_background(
                lambda: reference(checkpoint_directory(self._root, said["checkpoint"])), self._follow
            )

    def _follow(self, scene: Reference | Exception | None) -> None:
        """Compare with this reference from now on."""
        if isinstance(scene, Exception):
            self._node.get_logger().warning(f"the view is still compared with the checkpoint's before: {scene}")
        elif scene is None or not self._comparable:
            return  # a checkpoint from before there were references; or observations of another size
        elif self._watch is None:
            self._watch = ViewMonitor(scene)
        else:
            self._watch.follow(scene)


def view_details(change: ViewChange) -> dict[str, Any]:
    """Return what /diagnostics says of a view."""
    right, down = change.shift
    return {
        "view shifted right, down [observation pixels]": f"{right:.1f}, {down:.1f}",
        "view turned clockwise [degrees]": f"{change.turned:.1f}",
        "view brighter": f"{change.brightness:+.0%}",
        "a shift would not be seen": ", ".join(change.blind) or "it would, in any direction",
    }
