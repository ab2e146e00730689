"""A node ends, and the arm brakes and disarms, when the process that started it dies by any signal."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from ros_harness import NO_CAMERA, Listener, node_process
from test_arm_node import PARAMETERS, Bench

from rig_robot.common import starter

pytestmark = pytest.mark.alone

LAUNCHER = """
import os, signal, subprocess, sys
node = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
print(node.pid, flush=True)
for line in node.stdout:
    sys.stdout.write(line.decode())
    sys.stdout.flush()
node.wait()
"""
"""Starts one node as `ros2 launch` does: its output goes through a pipe, and the kernel is told nothing."""

NODE = """
import os, pathlib
from rig_robot.ros.node import RigNode
from rig_robot.ros.node_process import run

class WaitingNode(RigNode):
    def __init__(self):
        super().__init__("plain")
        words = self.declare("words", 0, "How many long lines to log at the start.")
        for _ in range(words):
            self.get_logger().info("word " * 20)
        # Not before it spins: until then a signal ends a node there and then.
        self.create_timer(0.01, pathlib.Path(os.environ["SEEN"] + ".ready").touch)

    def stop(self):
        pathlib.Path(os.environ["SEEN"] + ".stopped").touch()

run(WaitingNode)
"""


class WaitingNode:
    """Runs a node that does nothing; its files say whether it was ready and whether it stopped in order."""

    def __init__(self, folder: Path) -> None:
        (folder / "node.py").write_text(NODE)
        self.ready, self.stopped = folder / "seen.ready", folder / "seen.stopped"
        self.environment = {**os.environ, "SEEN": str(folder / "seen")}
        self.command = [sys.executable, str(folder / "node.py"), "--ros-args"]
        self._started: list[subprocess.Popen[bytes]] = []

    def start(
        self, *parameters: str, before: tuple[str, ...] = (), waits: bool = True, **how: object
    ) -> subprocess.Popen[bytes]:
        command = [*before, *self.command]
        for parameter in parameters:
            command += ["-p", parameter]
        process = subprocess.Popen(command, env=self.environment, start_new_session=True, **how)  # type: ignore[call-overload]
        self._started.append(process)
        if waits:
            until(self.ready.exists, "the node is ready", 30.0)
        return process

    def close(self) -> None:
        """Kill the processes that a failed test has left running."""
        for process in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def waiting_node(tmp_path: Path) -> Iterator[WaitingNode]:
    node = WaitingNode(tmp_path)
    yield node
    node.close()


def until(condition: Callable[[], object], what: str, timeout: float = 5.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"after {timeout} s still not: {what}"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.fixture(scope="module")
def simulated_arm() -> Iterator[None]:
    with node_process("rig_sim.robot_node", NO_CAMERA):
        yield


@pytest.mark.usefixtures("heeds_hangup")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP, signal.SIGSEGV])
def test_when_the_launcher_dies_the_arm_brakes_disarms_and_ends(
    how: signal.Signals, simulated_arm, listener: Listener, tmp_path: Path
) -> None:
    file = tmp_path / "arm.yaml"
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": PARAMETERS}}))
    arm = [sys.executable, "-m", "rig_robot.nodes.arm", "--ros-args", "--params-file", str(file)]
    with subprocess.Popen([sys.executable, "-c", LAUNCHER, *arm], stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        node = int(launcher.stdout.readline())
        try:
            bench = Bench(listener)
            bench.arm()
            direction = -0.15 if bench.place()[1] > 0 else 0.15
            bench.drive(0.6, 0.0, direction)
            assert bench.state() == "moving"
            launcher.send_signal(how)
            killed = time.monotonic()
            while bench.state() != "disarmed":  # the policy lives on and keeps sending
                bench.send(0.0, direction)
                listener.spin(0.02)
                assert time.monotonic() - killed < 5.0, "the arm is still armed"
            # The watchdog's time is 0.25 s; twice that on a busy machine.
            assert time.monotonic() - killed < 0.5
            listener.spin(max(0.0, killed + 0.5 - time.monotonic()))
            before = bench.place()
            bench.drive(0.3, 0.0, direction)
            assert np.linalg.norm(bench.place() - before) < 1e-3
            until(lambda: gone(node), "the node has ended")
        finally:
            if not gone(node):
                os.kill(node, signal.SIGKILL)
            launcher.kill()


def test_a_node_ends_with_the_program_between_it_and_its_starter_still_alive(waiting_node: WaitingNode) -> None:
    """A terminal or debugger (`prefix=` of a launch file) is the parent then, and knows nothing of the launcher."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as launcher:
        born = starter._start_time(launcher.pid)
        waiting_node.environment[starter.VARIABLE] = f"{launcher.pid} {born} {starter._pid_namespace()}"
        between = waiting_node.start(before=("sh", "-c", '"$@"; exit $?', "sh"))
        launcher.kill()
        assert between.wait(5) == 1 and waiting_node.stopped.exists()


def test_a_node_whose_starter_died_before_it_could_look_ends_at_once(waiting_node: WaitingNode) -> None:
    with subprocess.Popen(["true"]) as launcher:
        launcher.wait()
    waiting_node.environment[starter.VARIABLE] = f"{launcher.pid} 1 {starter._pid_namespace()}"
    assert waiting_node.start(waits=False).wait(30) == 1 and waiting_node.stopped.exists()


def test_a_number_of_another_container_is_not_taken_for_a_starter(waiting_node: WaitingNode) -> None:
    waiting_node.environment[starter.VARIABLE] = f"{2**22} 1 pid:[1]"
    node = waiting_node.start()
    time.sleep(0.3)
    assert node.poll() is None
    node.terminate()
    assert node.wait(5) == 0


@pytest.mark.usefixtures("heeds_hangup")
@pytest.mark.parametrize("how", [signal.SIGHUP, signal.SIGQUIT])
def test_a_terminal_that_closes_or_quits_ends_a_node_in_order(waiting_node: WaitingNode, how: signal.Signals) -> None:
    node = waiting_node.start()
    node.send_signal(how)
    assert node.wait(5) == 0 and waiting_node.stopped.exists()


@pytest.mark.parametrize("nohup", [True, False])
def test_a_node_that_is_told_to_outlive_a_closed_terminal_does(waiting_node: WaitingNode, nohup: bool) -> None:
    node = waiting_node.start(before=("nohup",)) if nohup else waiting_node.start("outlive_starter:=true")
    node.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert node.poll() is None and not waiting_node.stopped.exists()
    node.terminate()
    assert node.wait(5) == 0 and waiting_node.stopped.exists()


@pytest.mark.parametrize("outlive", [True, False])
def test_only_a_node_that_is_told_so_outlives_its_starter(waiting_node: WaitingNode, outlive: bool) -> None:
    node = [*waiting_node.command, "-p", f"outlive_starter:={str(outlive).lower()}"]
    with subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, *node], stdout=subprocess.PIPE, env=waiting_node.environment
    ) as it:
        assert it.stdout is not None
        pid = int(it.stdout.readline())
        try:
            until(waiting_node.ready.exists, "the node is ready", 30.0)
            it.kill()
            it.wait()
            if outlive:
                time.sleep(0.5)
                assert not gone(pid)
            else:
                until(lambda: gone(pid), "the node has ended")
                assert waiting_node.stopped.exists()
        finally:
            if not gone(pid):
                os.kill(pid, signal.SIGKILL)


def test_a_node_whose_log_nobody_reads_goes_on_and_ends_in_order(waiting_node: WaitingNode) -> None:
    read, written = os.pipe()
    try:
        node = waiting_node.start("words:=2000", stderr=written)  # 200 kB; a pipe takes 64
        os.close(written)
        node.terminate()
        assert node.wait(10) == 0 and waiting_node.stopped.exists()
        heard = os.read(read, 1 << 20).decode()
        assert re.match(r"\[INFO\] .*word word", heard)
    finally:
        os.close(read)
