"""The real system on the stand-in: which nodes, and the processes that a benchmark starts and stops.

    python -m standin.system [NODE ...]         (in benchmarks/) runs the nodes named, all without a name

The nodes are those of `rig robot`; only the camera's module is another one, which hands the camera node a software
device. The arm with its controller is a process of its own, as it is on a robot.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from rig_robot.bringup.node_spec import NodeSpec
from rig_robot.bringup.options import SHIPPED_CHECKPOINT, RobotOptions
from rig_robot.bringup.process_runner import Runner, command
from rig_robot.bringup.systems import robot
from rig_robot.checkpoints.checkpoint import read_config
from rig_robot.common.package_files import locate
from rig_sim.world import view
from standin.camera import VIEW
from standin.ground_truth import ENVIRONMENT, GroundTruth

BENCHMARKS = Path(__file__).parents[1]
CONFIG = Path(__file__).with_name("robot.yaml")
CHECKPOINT = "STANDIN_CHECKPOINT"
"""Variable that names the checkpoint."""
LAUNCHER = "STANDIN_LAUNCHER"
"""Variable that, where it is set, has the nodes started by a plain launcher instead of the runner."""
PRACTICE = "STANDIN_PRACTICE"
"""Variable that names a practice's directory."""
START_TIMEOUT = 60.0
"""Time that the arm gets to be there [s]."""


def nodes(checkpoint: str, practice: str = "") -> list[NodeSpec]:
    """Return the nodes of `rig robot`, the camera's with a device that is software.

    Args:
        checkpoint: What the robot begins with; not looked at where it practises.
        practice: Directory of a practice that has been prepared; none if empty.
    """
    if practice:
        specs = robot(RobotOptions(config=CONFIG, practice=True, data=Path(practice), page=False))
    else:
        specs = robot(RobotOptions(config=CONFIG, checkpoint=checkpoint, page=False))
    return [
        dataclasses.replace(spec, module="standin.camera", sends_frames=True) if spec.name == "camera" else spec
        for spec in specs
    ]


_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _die_with_the_parent() -> None:
    """Ask the kernel to end this process when the benchmark ends, however that ends: what is left would be heard."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Process:
    """A process of the benchmark: what it says is kept in a file, and it goes when the benchmark does.

    Args:
        arguments: Of Python.
        environment: Beside the benchmark's own.
        namespace: Network namespace to run in; that of the benchmark if empty.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], namespace: str = "") -> None:
        self._log = tempfile.NamedTemporaryFile(suffix=".log")  # noqa: SIM115 (its life is the process's)
        before = ["ip", "netns", "exec", namespace] if namespace else []
        self.process = subprocess.Popen(
            [*before, sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "RIG_LOG": "long", **environment},
            preexec_fn=_die_with_the_parent,
        )

    def output(self) -> str:
        return Path(self._log.name).read_text(errors="replace")

    def nodes(self) -> dict[str, psutil.Process]:
        """Return the nodes that it runs now, by name."""
        found = {}
        try:
            children = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return {}
        for child in children:
            try:
                if name := re.search(r"__node:=(\w+)", " ".join(child.cmdline())):
                    found[name.group(1)] = child
            except psutil.Error:  # it has just ended
                continue
        return found

    def stop(self) -> None:
        """Ask it to end as Ctrl-C does; kill it if it does not."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(15.0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Bench:
    """The arm with its controller, and the system that moves it.

    Args:
        checkpoint: Checkpoint of the nodes.
        environment: Variables for all processes, e.g. a clock that can be set.
        parts: For each network namespace (or "" for this one) the nodes that run in it; "robot" is the arm itself, and
            no names means all nodes.
    """

    def __init__(
        self,
        checkpoint: str,
        environment: Mapping[str, str] | None = None,
        parts: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="rig_standin_")
        file = Path(self._folder.name) / "truth"
        axes = read_config(locate(checkpoint)).action.axes
        paths = [str(BENCHMARKS), *filter(None, [os.environ.get("PYTHONPATH", "")])]
        self.environment = {
            "PYTHONPATH": os.pathsep.join(paths),
            CHECKPOINT: checkpoint,
            ENVIRONMENT: str(file),
            VIEW: view(axes),
            **(environment or {}),
        }
        self._parts = parts or {"": ("robot",)}
        self._namespace = next((name for name, inside in self._parts.items() if "robot" in inside), "")
        self.arm = Process(["-m", "standin.robot"], self.environment, self._namespace)
        self.truth = self._wait_for_truth(file)
        self.systems: list[Process] = []
        self.start()

    def start(self) -> None:
        """Start the nodes, as a person does."""
        self.systems = []
        for namespace, inside in self._parts.items():
            names = [name for name in inside if name != "robot"]
            self.systems.append(Process(["-m", "standin.system", *names], self.environment, namespace))

    def nodes(self) -> dict[str, psutil.Process]:
        """Return the running nodes by name."""
        return {name: process for system in self.systems for name, process in system.nodes().items()}

    def output(self) -> str:
        return "".join(system.output() for system in self.systems)

    def stop_system(self) -> None:
        for system in self.systems:
            system.stop()

    def close(self) -> None:
        self.stop_system()
        self.arm.stop()
        self._folder.cleanup()

    def _wait_for_truth(self, file: Path) -> GroundTruth:
        end = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end and self.arm.process.poll() is None:
            if file.exists() and len((truth := GroundTruth.open(file)).now().time):
                return truth
            time.sleep(0.1)
        self.arm.stop()
        raise RuntimeError(f"the stand-in arm does not come up; it says:\n{self.arm.output()}")


def launch(specs: Sequence[NodeSpec]) -> None:
    """Start nodes as `ros2 launch` does, and nothing more: who kills this process leaves them to themselves."""
    for spec in specs:
        subprocess.Popen(command(spec, os.environ), env={**os.environ, **spec.environment(os.environ)})
    while True:
        signal.pause()


def main() -> None:
    specs = nodes(os.environ.get(CHECKPOINT, SHIPPED_CHECKPOINT), os.environ.get(PRACTICE, ""))
    names = sys.argv[1:] or [spec.name for spec in specs]
    chosen = [spec for spec in specs if spec.name in names]
    if os.environ.get(LAUNCHER):
        launch(chosen)
    else:
        sys.exit(Runner(chosen, {}).run())


if __name__ == "__main__":
    main()
