"""An hour of `rig sim` with things going wrong at random: does it leak, miss a stop, or lose a node unnoticed?

    python benchmarks/soak.py --minutes 60

Shows a random goal picture every 5 s, and every 15 s or so makes a fault, most of them while the arm moves: nodes
killed or stopped for a while, broken and hostile messages, an emergency stop, disarming. The last line is one JSON
object; the exit status is 1 where a stop was missed, the arm stopped without a fault, the robot was silent, or a node
went unnoticed.

Missed stop: the tool's true position moved by more than 2 mm between 0.5 and 0.8 s after a fault that must stop the
arm; not judged where no position was heard in that time. False stop: between faults, the arm waits or disarms because
something is stale or not believed. Where a process that only sleeps was woken more than 0.08 s too late in the second
before, the machine stood still; where nothing was heard of the tool for 0.1 s, the robot was silent (a process that is
killed while it reads shared memory can hold up Fast DDS for seconds in whoever sends to it). Such stops are right, and
counted apart. Unnoticed: a killed node that the runner did not name and start anew, or a hung one of which neither
/diagnostics nor the arm's status told.

Growth of memory: by how many percent the most resident memory (RSS) that a node took after the first ten minutes
exceeds the most within them; the same within each process that lived for longer; the worst of all. A process may take
its time until it has what it needs: the camera node's buffers grow in one step of 13 to 24 MB, to 135 MB, no further.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np
import psutil
import tyro
from soak_faults import FAULTS, Fault
from standin.chain import Chain
from standin.operator import NotReady, Operator
from standin.stalls import Stalls
from standin.system import Process

from rig_robot.bringup.environment import dds_profile
from rig_robot.bringup.options import SHIPPED_CHECKPOINT
from rig_robot.bringup.shared_memory import FOLDER

STILL_MM, AFTER, LONG = 2.0, 0.5, 0.3
"""A tool that moves less than this [mm] from `AFTER` a fault on [s], for so long [s], has stopped."""
SILENT = 0.1
"""A robot of whose tool nothing is heard for so long is silent [s]: the arm node then finds its joints stale."""
UNDER_WAY = 0.08
"""Speed [m/s] of a tool that is on its way."""
NOTICED = 10.0
"""Time in which a dead or hung node must be noticed [s]."""
SAMPLE = 5.0
"""Between two looks at the memory [s]."""


@dataclass
class Args:
    minutes: float = 60.0
    """How long."""
    seed: int = 0
    """Seed of goals and faults."""
    checkpoint: str = SHIPPED_CHECKPOINT
    """Checkpoint: a directory, a root with a link `current`, or package://NAME/PATH."""
    goal_every: float = 5.0
    """Time between two goals [s]."""
    fault_every: float = 15.0
    """Time between two faults, on average [s]."""


@dataclass
class Life:
    """One process of a node, and its memory: (time [s], RSS [bytes])."""

    node: str
    samples: list[tuple[float, int]] = field(default_factory=list)


class Soak:
    """The system, whoever disturbs it, and what is kept count of."""

    def __init__(self, args: Args) -> None:
        from diagnostic_msgs.msg import DiagnosticStatus
        from geometry_msgs.msg import PoseStamped, TwistStamped
        from sensor_msgs.msg import CompressedImage, Image, JointState
        from std_msgs.msg import Bool
        from std_srvs.srv import SetBool, Trigger

        from rig_robot.ros.qos import COMMAND, LATCHED, STATE

        self._args = args
        self.random = random.Random(args.seed)
        self.system = Process(
            ["-m", "rig_robot.cli", "sim", "--no-page", "--goals", "-1", "--checkpoint", args.checkpoint], {}
        )
        os.environ.update(dds_profile("camera", os.environ))  # after the system's start: each node gets its own
        self.operator = Operator(args.checkpoint)
        node = self.operator.node
        self.chain, self.stalls = Chain(node), Stalls()
        self.poses: deque[tuple[float, np.ndarray]] = deque(maxlen=1000)
        self.answers: Counter[str] = Counter()
        node.create_subscription(PoseStamped, "sim/tool_pose", self._take_pose, STATE)
        node.create_subscription(DiagnosticStatus, "rig/goal/status", self._take_answer, LATCHED)
        self.twists = node.create_publisher(TwistStamped, "rig/policy/twist", COMMAND)
        self.images = node.create_publisher(Image, "rig/goal/image_in", COMMAND)
        self.files = node.create_publisher(CompressedImage, "rig/goal/image_in/compressed", COMMAND)
        self.joints = node.create_publisher(JointState, "joint_states", COMMAND)
        self.estop = node.create_publisher(Bool, "rig/estop", COMMAND)
        self.arm = node.create_client(SetBool, "arm/set_armed")
        self.clear = node.create_client(Trigger, "goal/clear")
        self._pictures = [self.operator.draw(self._place()) for _ in range(40)]
        self.lives: dict[int, Life] = {}
        self.goals = self.missed = self.unjudged = self.unnoticed = 0
        self.false_stops: list[str] = []
        self.stood_still = self.silent = 0
        self.hung: list[psutil.Process] = []
        self._next_goal = self._next_sample = 0.0
        self.begin = time.monotonic()

    def run(self) -> dict[str, int]:
        """Soak until the time is over; return how often each fault was made."""
        made: Counter[str] = Counter()
        self._go_on()
        self.shared_at_first = _shared_memory()
        self.begin = time.monotonic()
        end = self.begin + 60.0 * self._args.minutes
        names = [name for name, fault in FAULTS.items() for _ in range(fault.often)]
        while time.monotonic() < end:
            since = time.monotonic() + 0.5
            self.spend(self.random.uniform(0.5, 1.5) * self._args.fault_every - 5.0)
            self._look_for_false_stops(since)
            if self.system.process.poll() is not None:
                raise RuntimeError(f"the system has ended; it says:\n{self.system.output()[-3000:]}")
            name = self.random.choice(names)
            self._make(name, FAULTS[name])
            made[name] += 1
        return dict(made)

    def _look_for_false_stops(self, since: float) -> None:
        """Count each time that the arm has stopped since then [s, steady clock], though nothing was wrong."""
        for when, state, reason in self.operator.arm_status:
            if when >= since and (state == "disarmed" or "stale" in reason or "joint state" in reason):
                stall, silence = self.stalls.longest(when - 1.0, when), self._silence(when)
                if stall:
                    self.stood_still += 1
                    what = f"stop, the machine stood still for {stall:.2f} s"
                elif silence > SILENT:
                    self.silent += 1
                    what = f"stop, the robot was silent for {silence:.2f} s"
                else:
                    self.false_stops.append(reason)
                    what = "FALSE STOP"
                print(f"{(when - self.begin) / 60.0:6.2f} min  {what}: {state}, {reason}", flush=True)
                print(" " * 11 + self.chain.before(when), flush=True)

    def _silence(self, when: float, within: float = 1.0) -> float:
        """Return the longest time in which nothing was heard of the tool, in so long before a moment [s]."""
        heard = [when - within, *(at for at, _ in self.poses if when - within < at < when), when]
        return max(np.diff(heard).tolist())

    def spend(self, seconds: float) -> None:
        """Let time pass; goals and looks at the memory go on."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            now = time.monotonic()
            if now >= self._next_goal:
                self._next_goal = max(now, self._next_goal + self._args.goal_every)
                self.operator.show(self.random.choice(self._pictures))
                self.goals += 1
            if now >= self._next_sample:
                self._next_sample = now + SAMPLE
                self._sample()
            self.operator.spin(min(left, 0.02))

    def hold_goals(self, seconds: float) -> None:
        """Show no goal for so long [s]."""
        self._next_goal = max(self._next_goal, time.monotonic() + seconds)

    def kill(self, node: str, number: signal.Signals) -> str:
        """Send a signal to a node; return its name."""
        process = self.system.nodes()[node]
        process.send_signal(number)
        if number == signal.SIGSTOP:
            self.hung.append(process)
        return node

    def _make(self, name: str, fault: Fault) -> None:
        """Make a fault at a random moment, of a motion where it must stop; judge it, and go on."""
        patience = time.monotonic() + 12.0
        while fault.must_stop and self._speed() < UNDER_WAY and time.monotonic() < patience:
            self.spend(0.02)
        self.spend(self.random.uniform(0.0, 0.3))
        moving = self._speed()
        said = len(self.system.output())
        at = time.monotonic()
        self.operator.complaints.clear()
        node = fault.strike(self)
        self.spend(max(0.0, at + AFTER + LONG - time.monotonic()))
        places = np.array([place for when, place in self.poses if at + AFTER <= when <= at + AFTER + LONG])
        seen = len(places) > 1
        moved = 1000.0 * float(np.ptp(places, axis=0).max()) if seen else float("nan")
        missed = fault.must_stop and moved >= STILL_MM
        self.missed += missed
        self.unjudged += fault.must_stop and not seen
        noticed = node is None or self._noticed(node, said, at)
        self.unnoticed += not noticed
        for process in self.hung:
            process.send_signal(signal.SIGCONT)
        self.hung.clear()
        done = self._go_on()
        wrong = " MISSED STOP" * missed + " NOT JUDGED" * (fault.must_stop and not seen) + " UNNOTICED" * (not noticed)
        print(
            f"{(at - self.begin) / 60.0:6.2f} min  {name:<24} at {moving:.2f} m/s, {moved:5.2f} mm after 0.5 s"
            f"  [{', '.join(done) or 'nothing to do'}]{wrong}",
            flush=True,
        )

    def _noticed(self, node: str, said: int, at: float) -> bool:
        """Return whether the runner or /diagnostics told of a dead or hung node in time."""
        while time.monotonic() < at + NOTICED:
            if f"{node} ended (signal SIGKILL)" in self.system.output()[said:]:
                back = at + NOTICED
                while self.operator.health.get(node, 0.0) < at + 0.5 and time.monotonic() < back:
                    self.spend(0.1)
                return self.operator.health.get(node, 0.0) > at + 0.5
            if self.hung and (self.operator.complaints or "stale" in self.operator.arm_status[-1][2]):
                return True
            self.spend(0.1)
        return False

    def _go_on(self) -> list[str]:
        """Do what is needed that the arm follows goals again."""
        self.spend(0.5)
        try:
            return self.operator.make_ready()
        except NotReady as error:
            raise RuntimeError(f"{error}; the system says:\n{self.system.output()[-3000:]}") from None

    def _place(self) -> np.ndarray:
        low, high = self.operator.workspace.low, self.operator.workspace.high
        return np.array([self.random.uniform(a, b) for a, b in zip(low, high, strict=True)])

    def _speed(self) -> float:
        recent = [(when, place) for when, place in self.poses if when > time.monotonic() - 0.15]
        if len(recent) < 2 or recent[-1][0] - recent[0][0] < 0.05:
            return 0.0
        return float(np.linalg.norm(recent[-1][1] - recent[0][1])) / (recent[-1][0] - recent[0][0])

    def _sample(self) -> None:
        """Look at every node's memory."""
        now = time.monotonic() - self.begin
        for name, process in {"rig": psutil.Process(self.system.process.pid), **self.system.nodes()}.items():
            try:
                rss = process.memory_info().rss
            except psutil.Error:  # it has just ended
                continue
            self.lives.setdefault(process.pid, Life(name)).samples.append((now, rss))

    def _take_pose(self, message: object) -> None:
        place = message.pose.position  # type: ignore[attr-defined]
        self.poses.append((time.monotonic(), np.array([place.x, place.y, place.z])))

    def _take_answer(self, message: object) -> None:
        self.answers[{b"\0": "taken", b"\1": "taken, fitted"}.get(message.level, "refused")] += 1  # type: ignore[attr-defined]


def growth(lives: list[Life], warm_up: float) -> dict[str, float]:
    """Return for each node by how many percent its memory has grown.

    Args:
        lives: Of all processes.
        warm_up: Time in which memory may grow: of the soak, and of a process [s].
    """
    grown: dict[str, float] = {}
    for node in {life.node for life in lives}:
        samples = [sample for life in lives if life.node == node for sample in life.samples]
        pairs = [([rss for when, rss in samples if when < warm_up], [rss for when, rss in samples if when >= warm_up])]
        for life in (life for life in lives if life.node == node):
            end = life.samples[0][0] + warm_up
            pairs.append(([rss for when, rss in life.samples if when < end], [r for t, r in life.samples if t >= end]))
        grown[node] = max(100.0 * (max(late) / max(early) - 1.0) for early, late in pairs if early and late)
    return grown


def main(args: Args) -> None:
    for name, value in (
        ("ROS_DOMAIN_ID", "97"),
        ("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST"),
        ("OMP_NUM_THREADS", "1"),
    ):
        os.environ.setdefault(name, value)
    soak = Soak(args)
    try:
        made = soak.run()
        soak.spend(1.0)
        shared = _shared_memory()
    finally:
        soak.system.stop()
        soak.operator.close()
        soak.stalls.close()
    warm_up = min(600.0, 20.0 * args.minutes)
    grown = growth(list(soak.lives.values()), warm_up)
    lives = Counter(life.node for life in soak.lives.values())
    print(f"\nfaults: {', '.join(f'{name} {count}' for name, count in sorted(made.items()))}")
    print(f"goal pictures: {soak.goals} sent; answers: {dict(soak.answers)}")
    print(
        "memory: "
        + ", ".join(f"{name} {percent:+.1f} % ({lives[name]} lives)" for name, percent in sorted(grown.items()))
    )
    print(f"shared memory: {soak.shared_at_first / 2**20:.0f} MiB at first, {shared / 2**20:.0f} MiB at the end")
    print(
        f"missed stops: {soak.missed}, not judged: {soak.unjudged}; false stops: {len(soak.false_stops)}, "
        f"stops while the machine stood still: {soak.stood_still}, while the robot was silent: {soak.silent}; "
        f"dead or hung nodes unnoticed: {soak.unnoticed}"
    )
    result = {
        "minutes": args.minutes,
        "goals": soak.goals,
        "faults": sum(made.values()),
        "missed_stops": soak.missed,
        "false_stops": len(soak.false_stops),
        "stops_of_a_standing_machine": soak.stood_still,
        "stops_of_a_silent_robot": soak.silent,
        "rss_growth_percent": round(max(grown.values(), default=0.0), 2),
    }
    print(json.dumps(result))
    sys.exit(bool(soak.missed or soak.false_stops or soak.silent or soak.unnoticed))


def _shared_memory() -> int:
    """Return how much of the DDS's shared memory there is [bytes]."""
    return sum(file.stat().st_size for file in FOLDER.glob("fast*") if file.exists())


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
