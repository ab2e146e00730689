"""Receiver node: stores the checkpoints that a trainer on another machine sends in chunks, and announces them.

Where robot and trainer share a disk, this node is not needed.
"""

from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from std_msgs.msg import UInt8MultiArray

from rig_robot.checkpoint_delivery.announcer import Announcer
from rig_robot.checkpoint_delivery.answers import AnswerState, Outcome, answer
from rig_robot.checkpoint_delivery.chunk_assembler import ChunkAssembler
from rig_robot.checkpoint_delivery.chunk_protocol import ANSWERS, TOPIC, WINDOW, read_header
from rig_robot.checkpoints.checkpoint import read_config
from rig_robot.messages.diagnostics import OK, WARN
from rig_robot.ros.node import RigNode
from rig_robot.ros.node_process import run
from rig_robot.ros.qos import EPISODES


class ReceiverNode(RigNode):
    """`rig/checkpoint/chunk` -> a directory below the root, `rig/checkpoint`, `rig/checkpoint/received`."""

    def __init__(self) -> None:
        super().__init__("receiver")
        root = self.declare("checkpoints", Parameter.Type.STRING, "Root of checkpoints: what arrives is put there.")
        self._root = Path(root).expanduser()
        self._root.mkdir(parents=True, exist_ok=True)
        self._assembler: ChunkAssembler | None = None
        self._refused = ""
        """name of a rejected checkpoint, of which further chunks may still arrive"""
        self._last = "nothing has arrived yet"
        self._level = OK
        self._announcer = Announcer(self, self._root)
        self._answers = self.publisher(DiagnosticStatus, ANSWERS, EPISODES)
        # Deeper than the sender's window: an acknowledged chunk is received, but waits here while the disk is slow.
        self.subscribe(UInt8MultiArray, TOPIC, self._on_chunk, QoSProfile(depth=4 * WINDOW))

    def _on_chunk(self, message: UInt8MultiArray) -> None:
        try:
            header = read_header(message)
        except ValueError as error:
            self._say(WARN, f"{TOPIC}: {error}")
            return
        begins = header.offset == 0 and header.file == "config.json"
        if header.checkpoint == self._refused and not begins:
            return
        self._refused = ""
        try:
            if begins or self._assembler is None or self._assembler.name != header.checkpoint:
                self._discard()
                self._assembler = ChunkAssembler(self._root, header.checkpoint)
            if self._assembler.take(header, message.data.tobytes()):
                self._assembler = None
                self.get_logger().info(f"{header.checkpoint} has arrived")
                self._announcer.announce(header.checkpoint, lambda outcome: self._answer(header.checkpoint, outcome))
        except (ValueError, OSError) as error:
            self._discard()
            self._refused = header.checkpoint
            self._answer(header.checkpoint, Outcome(False, str(error)))

    def _discard(self) -> None:
        """Remove an incomplete checkpoint."""
        if self._assembler is not None:
            self._assembler.discard()
            self._assembler = None

    def _answer(self, name: str, outcome: Outcome) -> None:
        """Answer the sender, once the robot runs on the checkpoint or has rejected it."""
        vae_id = ""
        if outcome.accepted:
            vae_id = read_config(self._root / name).vae_id
        state = AnswerState.CURRENT if outcome.accepted else AnswerState.REFUSED
        self._answers.publish(answer("receiver", state, name, vae_id, outcome.text))
        self._say(OK if outcome.accepted else WARN, outcome.text)

    def _say(self, level: bytes, text: str) -> None:
        self._level, self._last = level, text
        if level == OK:
            self.get_logger().info(text)
        else:
            self.get_logger().warning(text)

    def stop(self) -> None:
        """Remove an incomplete checkpoint."""
        self._discard()

    def health(self) -> tuple[bytes, str, dict[str, Any]]:
        """Return what became of the newest checkpoint."""
        return self._level, self._last, {"arriving": self._assembler.name if self._assembler else "nothing"}


def main() -> None:
    run(ReceiverNode)


if __name__ == "__main__":
    main()
