"""Checkpoints by topic to the receiver node, over real DDS: whole at the other end, or refused by name."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from ros_harness import node_process
from std_msgs.msg import UInt8MultiArray
from test_checkpoint import write

from rig_robot.checkpoint_delivery import chunk_protocol
from rig_robot.checkpoint_delivery import sender as sending
from rig_robot.checkpoint_delivery.answers import Outcome
from rig_robot.checkpoint_delivery.chunk_assembler import ChunkAssembler
from rig_robot.checkpoint_delivery.chunk_protocol import CHUNKS, chunks, read_header
from rig_robot.checkpoint_delivery.sender import Sender
from rig_robot.checkpoints.checkpoint import CURRENT, activate, read_config
from rig_robot.checkpoints.config import CheckpointError
from rig_robot.commands.checkpoints import run
from rig_robot.commands.options import CheckpointsOptions
from rig_robot.common.message_fields import values
from rig_robot.ros.node import RigNode


class Bench:
    """Acts as the training machine: has a sender, and sends chunks by hand."""

    def __init__(self, root: Path) -> None:
        self.root = root
        rclpy.init()
        self.node = RigNode("far_trainer")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self.sender = Sender(self.node)
        self.by_hand = self.node.create_publisher(UInt8MultiArray, sending.TOPIC, CHUNKS)
        self.answers: list[DiagnosticStatus] = []
        self.node.create_subscription(DiagnosticStatus, sending.ANSWERS, self.answers.append, QoSProfile(depth=50))
        self.until(self.by_hand.get_subscription_count, "the receiver listens")
        self.until(lambda: self.node.count_publishers(sending.ANSWERS), "the receiver answers")
        self.spin(0.5)

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown()

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.02)

    def until(self, condition, what: str, seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"still not: {what}"
            self._executor.spin_once(timeout_sec=0.02)

    def send(self, directory: Path) -> Outcome:
        outcomes: list[Outcome] = []
        self.sender.send(directory, outcomes.append, 15.0)
        self.until(lambda: outcomes, f"an outcome of {directory.name}", 30.0)
        return outcomes[0]

    def refused(self, messages: list[UInt8MultiArray]) -> str:
        """Send chunks by hand and return why they were rejected."""
        self.spin(0.3)
        self.answers.clear()
        for message in messages:
            self.by_hand.publish(message)
            self.spin(0.02)
        self.until(lambda: self.answers, "an answer")
        assert values(self.answers[0])["state"] == "refused"
        return self.answers[0].message


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    root = tmp_path / "robot"
    write(root / "first", seed=1)
    activate(root / "first")
    with node_process("rig_robot.nodes.checkpoint_receiver", {"checkpoints": str(root)}):
        bench = Bench(root)
        yield bench
        bench.close()


def test_a_checkpoint_in_chunks_is_whole_and_current_at_the_other_end_or_refused(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(chunk_protocol, "CHUNK", 5000)  # so that each file is many
    far = tmp_path / "far"
    for seed, name in enumerate(("second", "third", "first"), start=2):
        write(far / name, seed=seed)
    outcome = bench.send(far / "second")
    assert outcome.accepted, outcome.text
    assert read_config(bench.root / "second") == read_config(far / "second")
    assert (bench.root / CURRENT).resolve().name == "second"
    assert bench.send(far / "second").accepted, "sent once more, it is the same"

    outcome = bench.send(far / "first")
    assert not outcome.accepted and "first is there already" in outcome.text

    third = list(chunks(far / "third"))
    assert len(third) > 6
    assert "a chunk was lost" in bench.refused(third[:3] + third[4:])
    flipped = list(chunks(far / "third"))
    flipped[-1].data[7] ^= 1
    assert "sha256 of policy.safetensors" in bench.refused(flipped)
    out = list(chunks(far / "third"))
    for message in out:
        message.layout.dim[0].label = "../" + message.layout.dim[0].label
    assert "refused" in bench.refused(out)
    assert sorted(path.name for path in bench.root.iterdir()) == [CURRENT, "first", "second"], "and nothing half there"
    assert (bench.root / CURRENT).resolve().name == "second"
    assert bench.send(far / "third").accepted, "after all that, the next good one is taken"


def test_whatever_comes_in_the_wrong_order_or_size_is_refused_by_name(tmp_path):
    write(tmp_path / "far" / "one", seed=1)
    messages = list(chunks(tmp_path / "far" / "one"))
    config, vae = messages[0], messages[1]
    with pytest.raises(CheckpointError, match=r"one: 'vae.safetensors' came, expected config.json"):
        ChunkAssembler(tmp_path / "robot", "one").take(read_header(vae), vae.data.tobytes())
    for file in ("../evil", "evil"):
        arrival = ChunkAssembler(tmp_path / "robot", "one")
        arrival.take(read_header(config), config.data.tobytes())
        with pytest.raises(CheckpointError, match="evil"):
            arrival.take(read_header(vae)._replace(file=file), vae.data.tobytes())
    arrival = ChunkAssembler(tmp_path / "robot", "one")
    with pytest.raises(CheckpointError, match="longer than"):
        arrival.take(read_header(config)._replace(size=10), config.data.tobytes())
    for name in ("../one", ".one", ""):
        with pytest.raises(CheckpointError, match="refused"):
            ChunkAssembler(tmp_path / "robot", name)
    with pytest.raises(ValueError, match="expected one NAME/FILE SHA256"):
        read_header(UInt8MultiArray())


def test_rig_checkpoints_lists_all_names_what_is_broken_and_goes_back(tmp_path, capfd):
    for seed, name in enumerate(("one", "two", "three")):
        write(tmp_path / name, seed=seed)
    activate(tmp_path / "two")
    (tmp_path / "three" / "vae.safetensors").write_bytes(b"short")
    assert run(CheckpointsOptions(tmp_path)) == 1
    said = capfd.readouterr().out
    assert "current is two" in said and "three/vae.safetensors: sha256 is" in said
    assert [line.split()[:2] for line in said.splitlines()[1:3]] == [["one", "2025-01-01"], ["*", "two"]]
    with pytest.raises(CheckpointError, match="three"):
        run(CheckpointsOptions(tmp_path, switch="three"))
    assert (tmp_path / CURRENT).resolve().name == "two"
    assert run(CheckpointsOptions(tmp_path, switch="one", timeout=5.0)) == 0
    assert "nobody is running" in capfd.readouterr().out and (tmp_path / CURRENT).resolve().name == "one"
    with pytest.raises(CheckpointError, match="no root of checkpoints"):
        run(CheckpointsOptions(tmp_path / "nowhere"))
