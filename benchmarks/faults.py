"""What happens when something breaks while the arm moves: how soon it stops, how far it goes, how one goes on.

    python benchmarks/faults.py

Runs the nodes of `rig robot` on the stand-in arm and camera (`benchmarks/standin`), sends the arm to and fro between
two corners of its box, breaks one thing at a random moment of a motion, repairs it, and does what it takes until the
arm moves again; so often for each thing. Prints a table in markdown, worst and median, and one JSON object as the last
line. Where the arm truly is comes from the physics itself, timed by a clock that nothing here touches.

Time to stop: from the fault until the tool is slower than 5 mm/s and stays so for 0.3 s. Moved: the largest distance
from where the tool was at the fault, until then. Some faults need root: the network is cut between two network
namespaces, and the clock is that of libfaketime.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil
import tyro
from standin.ground_truth import Lie, Motion
from standin.system import LAUNCHER, Process
from trajectory_msgs.msg import JointTrajectory

from rig_robot.bringup.environment import DDS_VARIABLES
from rig_robot.bringup.options import SHIPPED_CHECKPOINT
from rig_robot.ros.qos import COMMAND
from rig_sim.world import SPEED_LIMITS

ARM_PERIOD = 0.01
"""Of the arm node's commands [s]."""
TOLD = 0.01
"""Joint speed [rad/s] that counts as being told to move."""
AT_REST, REST = 0.005, 0.3
"""Speed [m/s] below which a tool rests, and for how long it must [s]."""
FAST, TRAVELLED = 0.12, 0.02
"""Speed [m/s] of a tool that is under way, and how far [m] it must have come."""
CORNERS = (0.12, 0.88)
"""Where the two goals lie between the corners of the workspace."""
LIBFAKETIME = "libfaketime.so.1"
ROBOT, WORKSTATION = "rig_robot_side", "rig_work_side"
"""Network namespaces: arm and controller in one, everything else in the other."""
CHILD = "FAULTS_OUTPUT"
"""Variable that the program sets for itself: make the faults here, and write what was measured into this file."""
DOMAIN = "96"
"""ROS domain, where the user has set none."""


@dataclass
class Args:
    repeats: int = 5
    """Times that each fault is made."""
    only: tuple[str, ...] = ()
    """Faults to make; all if none is named."""
    seed: int = 0
    """Seed of the moments."""
    checkpoint: str = SHIPPED_CHECKPOINT
    """Checkpoint: a directory, a root with a link `current`, or package://NAME/PATH."""


@dataclass(frozen=True)
class Fault:
    """One way to break the system.

    Attributes:
        what: For the table.
        strike: Breaks it.
        repair: Ends the fault; what is left for a person to do is found out.
        watch: How long the arm is watched after the fault [s].
        restart: The system ends by it, and is started again.
        stops: Whether the arm must stop; else it goes on.
        place: "here", "launcher" (the nodes' starter is a stand-in for `ros2 launch`), "network" (two namespaces) or
            "clock" (libfaketime).
    """

    what: str
    strike: Callable[[Bed], None]
    repair: Callable[[Bed], None] = lambda bed: None
    watch: float = 1.5
    restart: bool = False
    stops: bool = True
    place: str = "here"


@dataclass
class Seen:
    """What one fault did.

    Attributes:
        stop_ms: None if the arm did not stop while it was watched.
        told_ms: When the drives were told to move for the last time.
        moved_mm: After the fault.
        fastest: Largest joint speed that the arm node commanded after it, of what that joint may have (1: the limit).
        speed: Of the tool at the fault [m/s].
        arm_says: The arm's first state and reason after it.
        others_say: What /diagnostics and the runner said that they had not said before.
        done: What it took until the arm moved again.
    """

    stop_ms: float | None
    told_ms: float
    moved_mm: float
    fastest: float
    speed: float
    arm_says: str
    others_say: list[str]
    done: list[str]


class Bed:
    """A system that runs, an operator, and what is needed to break things."""

    def __init__(self, args: Args, place: str, folder: Path) -> None:
        from standin.operator import Operator
        from standin.system import Bench

        self.random = random.Random(args.seed)
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
        self.operator = Operator(args.checkpoint)
        self.bench = Bench(args.checkpoint, environment, parts)
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


def strike(bed: Bed, fault: Fault) -> Seen:
    """Bring the arm into motion, break something, watch, repair, and go on."""
    operator = bed.operator
    operator.make_ready()
    for _ in range(5):
        # The arm rests in one corner before it is sent to the other.
        bed.go()
        operator.spin(3.0)
        bed.go()
        if bed.moves(4.0):
            break
        operator.make_ready()
    else:
        raise RuntimeError("the arm does not move")
    operator.spin(bed.random.uniform(0.0, 0.4))
    known = {(node, text) for _, node, text in operator.complaints}
    said = len(bed.bench.output())
    state_before = len(operator.arm_status)
    bed.note_nodes()
    # From here on the moment counts.
    at = time.monotonic()
    fault.strike(bed)
    operator.spin(max(0.0, at + fault.watch - time.monotonic()))
    motion = bed.truth.last(fault.watch + 1.0)
    speed = float(np.interp(at, motion.time, motion.tool_speed()))
    stop_ms, told_ms, moved_mm = judged(motion.since(at - 0.002), at)
    fastest = bed.fastest(at)
    fault.repair(bed)
    operator.spin(1.5)  # health is told once a second, and the runner starts anew what has ended
    arm_says = next(
        (f"{state}: {reason}" for when, state, reason in operator.arm_status[state_before:] if state != "moving"), "-"
    )
    others = [
        f"{node}: {text}"
        for when, node, text in operator.complaints
        if when > at and (node, text) not in known and node != "arm"
    ]
    lines = [line.split("] ", 1)[-1] for line in bed.bench.output()[said:].splitlines() if " ended (" in line]
    return Seen(
        None if stop_ms is None else round(stop_ms, 1),
        round(told_ms, 1),
        round(moved_mm, 1),
        round(fastest, 3),
        round(speed, 3),
        arm_says,
        list(dict.fromkeys([*lines, *others, *bed.second_system_says()])),
        go_on(bed, fault),
    )


def judged(motion: Motion, at: float) -> tuple[float | None, float, float]:
    """Return the time to stop [ms], None if it never did; until when the drives were told to move [ms]; and how far the
    tool went [mm]."""
    moved = np.linalg.norm(motion.tool - motion.tool[0], axis=1)
    stop = _last(motion.time - at, motion.tool_speed() > AT_REST)
    told = _last(motion.time - at, np.abs(motion.commanded).max(axis=1) > TOLD)
    if stop + REST > motion.time[-1] - at:
        return None, 1000.0 * told, float(1000.0 * moved.max())
    return 1000.0 * stop, 1000.0 * told, float(1000.0 * moved[motion.time <= at + stop + REST].max())


def _last(time: np.ndarray, moves: np.ndarray) -> float:
    """Return the last time [s] at which something moves before it rests for `REST`."""
    last = 0.0
    for moment in time[moves]:
        if moment - last > REST:
            break
        last = moment
    return float(last)


def go_on(bed: Bed, fault: Fault) -> list[str]:
    """Do what it takes, no more than that, until the arm follows a goal again; return what it took."""
    operator = bed.operator
    done = []
    if fault.restart:
        bed.bench.stop_system()
        bed.nodes_end()
        operator.forget()
        bed.bench.start()
        done.append("start it again")
    else:
        bed.go()
        if bed.moves(4.0, fast=0.05):
            return ["nothing: it goes on by itself"]
    done += operator.make_ready()
    bed.go()
    operator.spin(2.0)
    bed.go()
    if not bed.moves(6.0, fast=0.05):
        raise RuntimeError("the arm does not go on")
    return done or ["a new goal"]


def _switch(name: str, value: float | bool) -> Callable[[Bed], None]:
    return lambda bed: setattr(bed.truth, name, value)


def _lie(lie: Lie, seconds: float | None = None) -> Callable[[Bed], None]:
    return lambda bed: bed.lie(lie, seconds)


def _signal_launcher(number: signal.Signals) -> Callable[[Bed], None]:
    return lambda bed: bed.bench.systems[0].process.send_signal(number)


def _cut(bed: Bed) -> None:
    _run("ip", "netns", "exec", WORKSTATION, "ip", "link", "set", "veth", "down")


def _join(bed: Bed) -> None:
    _run("ip", "netns", "exec", WORKSTATION, "ip", "link", "set", "veth", "up")


def _hog_and_kill(bed: Bed) -> None:
    bed.hog(True)
    bed.kill("policy")


FAULTS = {
    "camera_frozen": Fault(
        "camera frozen: no more frames", _switch("sends_frames", False), _switch("sends_frames", True)
    ),
    "camera_slow": Fault(
        "camera slow: every frame 0.5 s late", _switch("frame_delay", 0.5), _switch("frame_delay", 0.0), watch=2.5
    ),
    "encoder_killed": Fault("encoder killed", lambda bed: bed.kill("encoder"), watch=0.9),
    "policy_killed": Fault("policy killed", lambda bed: bed.kill("policy")),
    "joint_states_stopped": Fault(
        "joint states stopped", _switch("sends_joint_states", False), _switch("sends_joint_states", True)
    ),
    **{
        f"joint_states_{name}": Fault(f"joint states false for 40 ms: {what}", _lie(lie, 0.04))
        for name, what, lie in (
            ("zeros", "all zero", Lie.ZEROS),
            ("nine", "all 9 rad", Lie.NINE),
            ("off", "one joint 0.3 rad off", Lie.OFF),
        )
    },
    # Nothing tells it from the truth of an arm that lags; it moves nothing.
    "joint_states_near": Fault(
        "joint states false for 40 ms: one joint off by the tracking error, 0.2 rad", _lie(Lie.NEAR, 0.04), stops=False
    ),
    "joint_states_frozen": Fault(
        "joint states frozen: the same again and again, with fresh stamps", _lie(Lie.FROZEN), _lie(Lie.NONE)
    ),
    "clock_forward": Fault(
        "clock jumps an hour ahead", lambda bed: bed.set_clock(1), lambda bed: bed.set_clock(0), place="clock"
    ),
    "clock_back": Fault(
        "clock jumps an hour back", lambda bed: bed.set_clock(-1), lambda bed: bed.set_clock(0), place="clock"
    ),
    "network_cut": Fault("network cut for 1 s", _cut, _join, watch=0.95, place="network"),
    "busy": Fault("both cores busy, and the policy killed", _hog_and_kill, lambda bed: bed.hog(False)),
    "arm_killed": Fault("arm node killed", lambda bed: bed.kill("arm"), restart=True),
    "runner_killed": Fault("runner killed", lambda bed: bed.bench.systems[0].process.kill(), restart=True),
    **{
        f"launcher_{number.name.lower()}": Fault(
            f"launcher killed by {number.name}", _signal_launcher(number), restart=True, place="launcher"
        )
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGHUP)
    },
    "second_system": Fault(
        "a second system of the same names is started", lambda bed: bed.second_system(), watch=8.0, stops=False
    ),
}


def measure(args: Args) -> dict[str, list[Seen]]:
    """Make the faults of one place, here; the arm and its controller live through all of them."""
    found: dict[str, list[Seen]] = {}
    (place,) = {FAULTS[name].place for name in args.only}
    with tempfile.TemporaryDirectory(prefix="rig_faults_") as folder:
        bed = Bed(args, place, Path(folder))
        try:
            for name in args.only:
                found[name] = []
                for number in range(args.repeats):
                    seen = strike(bed, FAULTS[name])
                    found[name].append(seen)
                    stop = "does not stop" if seen.stop_ms is None else f"{seen.stop_ms:6.0f} ms"
                    print(
                        f"{name:>20} {number + 1}: at {seen.speed:.2f} m/s  {stop} (told until "
                        f"{seen.told_ms:.0f})  {seen.moved_mm:5.1f} mm  {100 * seen.fastest:3.0f} %  "
                        f"{seen.arm_says}  [{'; '.join(seen.done)}]",
                        flush=True,
                    )
        except Exception:
            print(bed.bench.output()[-5000:], bed.bench.arm.output()[-2000:], flush=True)
            raise
        finally:
            bed.close()
    return found


@contextmanager
def namespaces() -> Iterator[None]:
    """Two network namespaces with a cable between them, as a workstation and a robot's computer."""
    remove_namespaces()
    try:
        for name in (ROBOT, WORKSTATION):
            _run("ip", "netns", "add", name)
            _run("ip", "netns", "exec", name, "ip", "link", "set", "lo", "up")
        _run("ip", "link", "add", "veth", "netns", ROBOT, "type", "veth", "peer", "name", "veth", "netns", WORKSTATION)
        for number, name in enumerate((ROBOT, WORKSTATION), 1):
            _run("ip", "netns", "exec", name, "ip", "address", "add", f"10.83.0.{number}/24", "dev", "veth")
            _run("ip", "netns", "exec", name, "ip", "link", "set", "veth", "up")
        time.sleep(3.0)  # a new interface drops multicast at first, and discovery would miss its beginning
        yield
    finally:
        remove_namespaces()


def missing_requirements() -> dict[str, str]:
    """Return why no faults can be made in a place on this machine, for each place where that is so."""
    missing = {}
    if os.geteuid() != 0 or shutil.which("ip") is None:
        missing["network"] = "a cut needs root and the program ip: sudo apt-get install iproute2, and run with sudo"
    try:
        libfaketime()
    except FileNotFoundError as error:
        missing["clock"] = str(error)
    return missing


def remove_namespaces() -> None:
    for name in (ROBOT, WORKSTATION):
        with suppress(subprocess.CalledProcessError):
            _run("ip", "netns", "delete", name)


def libfaketime() -> str:
    """Return the library's path."""
    for folder in Path("/usr/lib").glob("*/faketime"):
        if (file := folder / LIBFAKETIME).exists():
            sleep = [sys.executable, "-c", "import time; time.sleep(0.01)"]
            if subprocess.run(sleep, env={**os.environ, "LD_PRELOAD": str(file)}, capture_output=True).returncode:
                raise FileNotFoundError(f"this Python cannot sleep under {file}: a clock cannot be set here")
            return str(file)
    raise FileNotFoundError("a clock is set by libfaketime: sudo apt-get install faketime")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def run_place(args: Args, place: str, names: list[str]) -> dict[str, list[Seen]]:
    """Make the faults of one place in a process of its own, in the namespace where the operator is."""
    environment = {
        "ROS_DOMAIN_ID": DOMAIN,
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "OMP_NUM_THREADS": "1",
        **os.environ,
    }
    before: list[str] = []
    if place == "network":
        before = ["ip", "netns", "exec", WORKSTATION]
        # Discovery has to pass the cable, which leads nowhere else; and shared memory would know no cut of it.
        environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "SUBNET"
        environment[DDS_VARIABLES[0]] = str(Path(__file__).parent / "standin" / "udp.xml")
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        environment[CHILD] = file.name
        command = [sys.executable, __file__, "--only", *names]
        command += ["--repeats", str(args.repeats), "--seed", str(args.seed), "--checkpoint", args.checkpoint]
        status = subprocess.run([*before, *command], env=environment).returncode
        content = Path(file.name).read_text()
    if status != 0 or not content:
        raise SystemExit(f"the faults {', '.join(names)} could not be made (status {status})")
    return {name: [Seen(**seen) for seen in each] for name, each in json.loads(content).items()}


def main(args: Args) -> None:
    if unknown := set(args.only) - FAULTS.keys():
        raise SystemExit(f"no fault {', '.join(sorted(unknown))}: choose of {', '.join(FAULTS)}")
    if output := os.environ.get(CHILD):
        found = measure(args)
        Path(output).write_text(json.dumps({name: [asdict(seen) for seen in each] for name, each in found.items()}))
        return
    missing = missing_requirements()
    if args.only and (cannot := [name for name in args.only if FAULTS[name].place in missing]):
        raise SystemExit(f"{', '.join(cannot)}: {missing[FAULTS[cannot[0]].place]}")
    names = list(args.only) or list(FAULTS)
    for place, why in missing.items():
        left_out = [name for name in names if FAULTS[name].place == place]
        print(f"not measured: {', '.join(left_out)}: {why}", file=sys.stderr)
    found: dict[str, list[Seen]] = {}
    failed = bool(missing) and not args.only
    for place in ("here", "launcher", "clock", "network"):
        if place in missing or not (here := [name for name in names if FAULTS[name].place == place]):
            continue
        try:
            with namespaces() if place == "network" else nullcontext():
                found |= run_place(args, place, here)
        except SystemExit as failure:  # what was measured in the other places is not lost by it
            print(failure, file=sys.stderr)
            failed = True
    print(table({name: found[name] for name in names if name in found}))
    print(json.dumps({name: worst(found[name]) for name in names if name in found}))
    if failed:
        raise SystemExit(1)


def worst(each: list[Seen]) -> dict[str, float | None]:
    stops = [seen.stop_ms for seen in each]
    return {
        "stop_ms": None if None in stops else max(stop for stop in stops if stop is not None),
        "moved_mm": max(seen.moved_mm for seen in each),
        "fastest": max(seen.fastest for seen in each),
    }


def table(found: dict[str, list[Seen]]) -> str:
    """Return the table in markdown."""
    lines = [
        "",
        "| fault | time to stop, worst (median) | moved, worst (median) | fastest joint command, of its limit "
        "| what the operator sees | how to go on |",
        "|---|---|---|---|---|---|",
    ]
    for name, each in found.items():
        stops = [np.inf if seen.stop_ms is None else seen.stop_ms for seen in each]
        moved = [seen.moved_mm for seen in each]
        stop = f"{max(stops):.0f} ms ({np.median(stops):.0f})" if FAULTS[name].stops else "need not stop"
        said = [text for seen in each for text in [f"arm: {seen.arm_says}", *seen.others_say]]
        kinds = {re.sub(r"[\d.]+", "#", text): text for text in reversed(said)}  # figures apart, the same
        says = Counter(re.sub(r"[\d.]+", "#", text) for text in said)
        usual = "<br>".join(kinds[kind] for kind, count in says.most_common() if 2 * count > len(each))
        done = "<br>".join(text for text, _ in Counter("; ".join(seen.done) for seen in each).most_common())
        lines.append(
            f"| {FAULTS[name].what} | {stop} | "
            f"{max(moved):.1f} mm ({np.median(moved):.1f}) | "
            f"{100 * max(seen.fastest for seen in each):.0f} % | {usual} | {done} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
