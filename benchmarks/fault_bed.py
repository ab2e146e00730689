"""Of `faults.py`: the system that faults are made in, the operator who uses it, and what is needed to break things."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
from fault_places import ROBOT, WORKSTATION, libfaketime
from standin.ground_truth import Lie
from standin.system import LAUNCHER, Process
from trajectory_msgs.msg import JointTrajectory

from rig_robot.ros.qos import COMMAND
from rig_sim.world import SPEED_LIMITS

ARM_PERIOD = 0.01
"""Of the arm node's commands [s]."""
FAST, TRAVELLED = 0.12, 0.02
"""Speed [m/s] of a tool that is under way, and how far [m] it must have come."""
CORNERS = (0.12, 0.88)
"""Where the two goals lie between the corners of the workspace."""


class Bed:
    """A system that runs, an operator, and what is needed to break things."""

    def __init__(self, checkpoint: str, seed: int, place: str, folder: Path) -> None:
        from standin.operator import Operator
        from standin.system import Bench

        self.random = random.Random(seed)
        self._clock = folder / "clock"
        self.set_clock(0)
        environment: dict[str, str] = {}
        parts = None
        if place == "clock":
            environment = {
                "LD_PRELOAD": libfaketime(),
                "FAKETIME_TIMESTAMP_FILE": str(self._clock),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "DONT_FAKE_MONOTONIC": "1",
            }
        elif place == "launcher":
            environment = {LAUNCHER: "1"}
        elif place == "network":
            parts = {ROBOT: ("robot", "arm"), WORKSTATION: ("camera", "encoder", "goal", "policy")}
        self.operator = Operator(checkpoint)
        self.bench = Bench(checkpoint, environment, parts)
        self.truth = self.bench.truth
        self.others: list[Process] = []
        self._running: list[psutil.Process] = []
        self._commands: list[tuple[float, list[float]]] = []
        self.operator.node.create_subscription(
            JointTrajectory,
            "joint_trajectory_controller/joint_trajectory",
            lambda message: self._commands.append((time.monotonic(), list(message.points[0].positions))),
            COMMAND,
        )
        low, high = (np.array(corner) for corner in (self.operator.workspace.low, self.operator.workspace.high))
        self._pictures = [self.operator.draw(low + share * (high - low)) for share in CORNERS]
        self._next = 0
        self._hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
        for hog in self._hogs:
            hog.send_signal(signal.SIGSTOP)

    def close(self) -> None:
        for hog in self._hogs:
            hog.kill()
        self.bench.close()
        self.operator.close()

    def set_clock(self, hours: int) -> None:
        """Make all clocks of the system show so many hours more than they do; in one instant."""
        new = self._clock.with_suffix(".new")
        new.write_text(f"{hours:+d}h\n")
        new.replace(self._clock)

    def note_nodes(self) -> None:
        """Note which nodes run, for `nodes_end`."""
        self._running = list(self.bench.nodes().values())

    def nodes_end(self) -> None:
        """Wait until the nodes that were noted are gone: others of their names are refused until then."""
        psutil.wait_procs(self._running, timeout=20.0)

    def second_system(self) -> None:
        """Start the same nodes a second time, as a person in another terminal."""
        self.others.append(Process(["-m", "standin.system"], self.bench.environment))

    def second_system_says(self) -> list[str]:
        """Return how the second systems ended and their last words; end those that have not."""
        said = []
        for other in self.others:
            status = other.process.poll()
            other.stop()
            lines = [line.split("] ", 1)[-1] for line in other.output().splitlines()]
            last = next((line for line in lines if "another node" in line), lines[-1] if lines else "")
            said.append(f"the second system runs: {last}" if status is None else f"the second: status {status}, {last}")
        self.others = []
        return said

    def kill(self, name: str) -> None:
        self.bench.nodes()[name].kill()

    def fastest(self, since: float) -> float:
        """Return the largest joint speed that was commanded since a time [s], in shares of what the joint may have.

        From one command to the next, in no less time than there is between two: the arm node's period.
        """
        commands = [command for command in self._commands if command[0] > since - 0.05]
        largest = 0.0
        for (before, start), (now, end) in itertools.pairwise(commands):
            speed = np.abs(np.subtract(end, start)) / max(now - before, ARM_PERIOD)
            largest = max(largest, float((speed / SPEED_LIMITS).max()))
        return largest

    def lie(self, lie: Lie, seconds: float | None = None) -> None:
        """Make joint states say something else than the truth, for so long [s] or for good."""
        self.truth.lie = lie
        if seconds is not None:
            threading.Timer(seconds, lambda: setattr(self.truth, "lie", Lie.NONE)).start()

    def hog(self, on: bool) -> None:
        for hog in self._hogs:
            hog.send_signal(signal.SIGCONT if on else signal.SIGSTOP)

    def go(self) -> None:
        """Show the goal in the corner where the arm is not."""
        self.operator.show(self._pictures[self._next])
        self._next = 1 - self._next

    def moves(self, within: float, fast: float = FAST) -> bool:
        """Wait until the tool is on its way; return whether it is."""
        begin = time.monotonic()
        while time.monotonic() - begin < within:
            self.operator.spin(0.01)
            motion = self.truth.last(1.0).since(begin)
            if len(motion.time) < 20:
                continue
            away = np.linalg.norm(motion.tool[-1] - motion.tool[0])
            if away > TRAVELLED and motion.tool_speed()[-1] > fast:
                return True
        return False
