"""Starts real nodes as processes for tests, and listens to them over real DDS on this machine's loopback."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import rclpy
import yaml
from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.task import Future

from rig_robot.bringup.environment import DDS_VARIABLES, DISCOVERY, dds_profile

COMPOSED = "rig_robot.nodes.composed"
"""Module of the process that runs camera, encoder, goal and policy node"""
START_S = 30.0
"""Longest time that a node may take to start on a busy machine (the simulation makes its OpenGL context)."""
NO_CAMERA = {"camera_rate": 0.1, "image_width": 64, "image_height": 48}
"""Parameters of the simulated robot for tests that use no frames: rendering them would take a third of a core."""
ASK_AGAIN_S = 0.5
"""Time after which a node that has not answered is asked again [s]."""


def user_environment() -> dict[str, str]:
    """Return this process's environment as a user has it who keeps to this machine and has chosen no DDS profile."""
    return {name: value for name, value in os.environ.items() if name not in DDS_VARIABLES} | {DISCOVERY: "LOCALHOST"}


class NodeProcess:
    """Runs one of the project's nodes as a process: keeps its output, and ends it with the test."""

    def __init__(
        self,
        module: str,
        parameters: Mapping[str, object],
        remappings: Mapping[str, str],
        words: Sequence[str],
        environment: Mapping[str, str],
    ) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as file:
            yaml.safe_dump({"/**": {"ros__parameters": dict(parameters)}}, file)
        self._parameters = Path(file.name)
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (closed in stop)
        arguments = [*words, "--ros-args", "--params-file", file.name]
        for name, target in remappings.items():
            arguments += ["--remap", f"{name}:={target}"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            # Linux shares the processors out by sessions: in that of the tests, a trainer, which takes only what others
            # of its session leave, would get nothing while something else there keeps all of them busy.
            start_new_session=module == "rig_robot.nodes.trainer",
        )

    def output(self) -> str:
        """Return what the process has written so far, stdout and stderr."""
        return os.pread(self._output.fileno(), 1_000_000, 0).decode(errors="replace")

    def running(self) -> bool:
        return self.process.poll() is None

    def wait(self, timeout_s: float = START_S) -> int:
        """Wait until the process ends by itself, and return its exit status."""
        return self.process.wait(timeout_s)

    def interrupt(self) -> int:
        """Send Ctrl-C and return the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)

    def close(self) -> None:
        """End the process, by SIGKILL if it does not react."""
        if self.running():
            try:
                self.interrupt()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._parameters.unlink()
        self._output.close()


def mapped_segments(pid: int) -> set[str]:
    """Return the names of the segments of shared memory that a process has open; none if it has ended."""
    try:
        maps = Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return set()
    return set(re.findall(r"/dev/shm/(fastdds_[0-9a-f]+)$", maps, re.MULTILINE))


def segments_in_use() -> set[str]:
    """Return the names of the segments of shared memory that any process of this machine has open."""
    return {name for process in Path("/proc").glob("[0-9]*") for name in mapped_segments(int(process.name))}


@contextlib.contextmanager
def node_process(
    module: str,
    parameters: Mapping[str, object] | None = None,
    remappings: Mapping[str, str] | None = None,
    words: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[NodeProcess]:
    """Run `python -m module words` with these parameters; print its output if the test fails meanwhile.

    Without an `environment` its DDS profile is the one that the bring-up gives to nodes that publish nothing large.
    """
    usual = dds_profile("composed" if module == COMPOSED else "small", user_environment())
    process = NodeProcess(
        module, parameters or {}, remappings or {}, words, usual if environment is None else environment
    )
    try:
        yield process
    except BaseException:
        print(f"--- output of {module}\n{process.output()}---")
        raise
    finally:
        process.close()


M = TypeVar("M")


def assert_realtime(node: NodeProcess) -> None:
    """Assert that all threads of a node that was given a real-time priority have one, or that its refusal is told."""
    threads = [int(task.name) for task in Path(f"/proc/{node.process.pid}/task").iterdir()]
    policies = {os.sched_getscheduler(thread) for thread in threads}
    assert policies == {os.SCHED_FIFO} or "not allowed" in node.output()


class Listener:
    """A node in the test process. Callbacks run only within `until` and `spin`; nothing spins in the background."""

    def __init__(self, name: str = "listener") -> None:
        self._context = rclpy.Context()
        self._context.init()
        self.node = Node(name, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()

    def hear(self, kind: type[M], topic: str, qos: QoSProfile | int) -> list[M]:
        """Subscribe to a topic, and return a list to which each of its messages is appended."""
        heard: list[M] = []
        self.node.create_subscription(kind, topic, heard.append, qos)
        return heard

    def spin(self, seconds: float) -> None:
        """Run callbacks for so many seconds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def until(self, condition: Callable[[], Any], what: str, timeout_s: float = START_S) -> Any:
        """Spin until `condition` returns something true, and return that; after `timeout_s` fail, naming `what`."""
        end = time.monotonic() + timeout_s
        while not (found := condition()):
            if time.monotonic() > end:
                raise AssertionError(f"after {timeout_s:g} s still not: {what}")
            self._executor.spin_once(timeout_sec=0.02)
        return found

    def until_heard(self, topic: str, publishers: int = 1, subscribers: int = 0) -> None:
        """Spin until the other side of a topic has been discovered."""
        self.until(
            lambda: (
                self.node.count_publishers(topic) >= publishers and self.node.count_subscribers(topic) >= subscribers
            ),
            f"{publishers} publishers and {subscribers} subscribers on {topic}",
        )

    def wait_until_discovered_by(self, *nodes: str) -> None:
        """Spin until these nodes have discovered every publisher, subscription and client that this node has so far.

        Having discovered the other nodes is not enough: what they publish, and even their answers, do not reach nodes
        that they have not discovered yet (rmw_fastrtps issue 842). DDS announces endpoints in the order in which they
        were created, so a node that answers a client created just now has discovered all of them.
        """
        for name in nodes:
            client = self.node.create_client(GetParameters, f"{name}/get_parameters")
            futures: list[Future] = []
            asked = -ASK_AGAIN_S

            def answered(client: Any = client, futures: list[Future] = futures) -> bool:
                nonlocal asked
                if time.monotonic() - asked >= ASK_AGAIN_S and client.service_is_ready():
                    futures.append(client.call_async(GetParameters.Request()))
                    asked = time.monotonic()
                return any(future.done() for future in futures)

            try:
                self.until(answered, f"{name} has discovered this node")
            finally:
                self.node.destroy_client(client)

    def call(self, kind: Any, service: str, request: Any = None) -> Any:
        """Call a node's own service once and return its response."""
        client = self.node.create_client(kind, service)
        try:
            self.until(client.service_is_ready, f"service {service} is there")
            self.wait_until_discovered_by(service.rpartition("/")[0])
            future = client.call_async(request or kind.Request())
            self.until(future.done, f"service {service} has answered")
            return future.result()
        finally:
            self.node.destroy_client(client)

    def set_parameter(self, node: str, name: str, value: object) -> Any:
        """Set a parameter of another node, and return the `rcl_interfaces/SetParametersResult`."""
        from rcl_interfaces.srv import SetParameters

        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        return self.call(SetParameters, f"{node}/set_parameters", request).results[0]
