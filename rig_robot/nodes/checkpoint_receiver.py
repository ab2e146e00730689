"""Receiver node: checkpoints that a trainer on another machine sends in chunks; whole, or refused by name.

Where robot and trainer see the same disk, nobody needs this node.
"""

from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from std_msgs.msg import UInt8MultiArray

from rig_robot.checkpoint_delivery.announcer import Announcer
from rig_robot.checkpoint_delivery.answers import AnswerState, Outcome, answer
from rig_robot.checkpoint_delivery.chunk_assembler import Arrival
from rig_robot.checkpoint_delivery.chunk_protocol import ANSWERS, TOPIC, WINDOW, read_piece
from rig_robot.checkpoints.checkpoint import read_config
from rig_robot.messages.diagnostics import OK, WARN
from rig_robot.ros.node import RigNode, run
from rig_robot.ros.qos import EPISODES


class ReceiverNode(RigNode):
    """`rig/checkpoint/chunk` -> a directory below the root, `rig/checkpoint`, `rig/checkpoint/received`."""

    def __init__(self) -> None:
        super().__init__("receiver")
        root = self.declare("checkpoints", Parameter.Type.STRING, "Root of checkpoints: what arrives is put there.")
        self._root = Path(root).expanduser()
        self._root.mkdir(parents=True, exist_ok=True)
        self._arrival: Arrival | None = None
        self._refused = ""
        """the checkpoint that the rest is on its way of, to no avail"""
        self._last = "nothing has arrived yet"
        self._level = OK
        self._announcer = Announcer(self, self._root)
        self._answers = self.publisher(DiagnosticStatus, ANSWERS, EPISODES)
        # Deeper than what is under way: acknowledged means received, not yet taken while the disk is slow.
        self.subscribe(UInt8MultiArray, TOPIC, self._on_chunk, QoSProfile(depth=4 * WINDOW))

    def _on_chunk(self, message: UInt8MultiArray) -> None:
        try:
            piece = read_piece(message)
        except ValueError as error:
            self._say(WARN, f"{TOPIC}: {error}")
            return
        begins = piece.offset == 0 and piece.file == "config.json"
        if piece.checkpoint == self._refused and not begins:
            return
        self._refused = ""
        try:
            if begins or self._arrival is None or self._arrival.name != piece.checkpoint:
                self._drop()
                self._arrival = Arrival(self._root, piece.checkpoint)
            if self._arrival.take(piece, message.data.tobytes()):
                self._arrival = None
                self.get_logger().info(f"{piece.checkpoint} has arrived")
                self._announcer.announce(piece.checkpoint, lambda outcome: self._told(piece.checkpoint, outcome))
        except (ValueError, OSError) as error:
            self._drop()
            self._refused = piece.checkpoint
            self._told(piece.checkpoint, Outcome(False, str(error)))

    def _drop(self) -> None:
        """Forget what has begun to arrive: half a checkpoint is none."""
        if self._arrival is not None:
            self._arrival.forget()
            self._arrival = None

    def _told(self, name: str, outcome: Outcome) -> None:
        """Answer the sender, once the robot runs on it or will not."""
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
        """Leave nothing half there."""
        self._drop()

    def health(self) -> tuple[bytes, str, dict[str, Any]]:
        """Say what arrived last, and what became of it."""
        return self._level, self._last, {"arriving": self._arrival.name if self._arrival else "nothing"}


def main() -> None:
    run(ReceiverNode)


if __name__ == "__main__":
    main()
