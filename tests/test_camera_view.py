"""The camera node tells of a view that is not the running checkpoint's. Alone: all cameras share `/diagnostics`."""

from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from ros_harness import Listener, node_process
from test_camera_node import Driver
from test_checkpoint import write

from rig_robot.checkpoints.checkpoint import activate
from rig_robot.messages.diagnostics import OK, diagnostic
from rig_robot.ros.qos import EPISODES
from rig_robot.vision.view_check import Reference


def test_the_view_is_compared_with_the_checkpoint_that_runs_also_after_a_swap(
    listener: Listener, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (2, 6, 6, 3), dtype=np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    for name, scene in zip(("before", "after"), blocks, strict=True):
        write(tmp_path / name, scene=Reference.of(np.stack([scene] * 20)))
    activate(tmp_path / "before")
    seen = blocks[1].repeat(10, axis=0).repeat(10, axis=1)  # the scene of the second, as a frame's centre square
    frame = np.zeros((480, 640, 3), np.uint8)
    frame[:, 80:560] = seen
    said: list[str] = []

    def hear(message: DiagnosticArray) -> None:
        said.extend(status.message for status in message.status if status.name == "camera")

    listener.node.create_subscription(DiagnosticArray, "/diagnostics", hear, 10)
    answers = listener.node.create_publisher(DiagnosticStatus, "rig/checkpoint/ready", EPISODES)
    with node_process("rig_robot.nodes.camera", {"checkpoint": str(tmp_path)}):
        driver = Driver(listener)

        def says(text: str) -> bool:
            driver.send(frame)
            listener.spin(0.03)  # well above 10 Hz, below which the camera would be called slow instead
            return bool(said) and text in said[-1]

        listener.until(lambda: says("not the checkpoint's view"), "the other scene is noticed", 20)
        answers.publish(diagnostic("encoder", OK, "", {"state": "active", "checkpoint": "after"}))
        listener.until(lambda: says("frames are passed on"), "the new checkpoint's scene is this one", 20)
        said.clear()
        listener.until(lambda: says("") and len(said) > 4, "more comparisons", 20)
        assert not any("not the checkpoint's view" in text for text in said)
