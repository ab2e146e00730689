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

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tyro
from fault_bed import Bed
from fault_list import FAULTS, Fault
from fault_places import WORKSTATION, missing_requirements, namespaces
from standin.ground_truth import Motion

from rig_robot.bringup.environment import DDS_VARIABLES
from rig_robot.bringup.options import SHIPPED_CHECKPOINT

TOLD = 0.01
"""Joint speed [rad/s] that counts as being told to move."""
AT_REST, REST = 0.005, 0.3
"""Speed [m/s] below which a tool rests, and for how long it must [s]."""
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


def measure(args: Args) -> dict[str, list[Seen]]:
    """Make the faults of one place, here; the arm and its controller live through all of them."""
    found: dict[str, list[Seen]] = {}
    (place,) = {FAULTS[name].place for name in args.only}
    with tempfile.TemporaryDirectory(prefix="rig_faults_") as folder:
        bed = Bed(args.checkpoint, args.seed, place, Path(folder))
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
