"""From the camera driver to the arm: how long a 640x480 frame takes to become the arm command that rests on it.

    python benchmarks/control_latency.py

Starts the whole simulated system as `rig sim` does, every node a process, with random goals so that the arm moves;
listens for a minute and then prints each hop's share, the CPU of each node, and one JSON object as the last line.

A hop ends when its message is handed to the DDS: that time comes with every message (`source_timestamp`) from the clock
that all processes of one machine share, so this program's own delays do not count. The first hop begins when the
simulated driver hands over the frame; rendering it comes before that and is shown apart. Frames are told apart by their
capture stamps, which all messages that rest on them carry. A lost frame is one that left the driver and never became an
observation and a latent. Only every third frame is acted on, and only those have a whole way.

    python benchmarks/control_latency.py --training

measures twice, the second time with a trainer node that learns all the while (to see, which takes the most), and the
JSON object has both and the ratio of their 99th percentiles. `--page` does so with the operator's page in two
browsers; otherwise the system has no page.

    python benchmarks/control_latency.py --composed --rate 60

measures the system whose camera, encoder, goal and policy node share a process (`rig sim --composed`), here at 60
frames a second.
"""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from rig_robot.bringup.environment import dds_profile, simulation_environment
from rig_robot.bringup.options import SHIPPED_CHECKPOINT

STAGES = ("frame", "observation", "latent", "twist", "command")
"""What a frame becomes, in order."""
HOPS = dict(zip(("camera", "encoder", "policy", "arm"), itertools.pairwise(STAGES), strict=True))
"""Each node's hop: it begins when its input was sent, and ends when its output is."""


@dataclass
class Args:
    checkpoint: str = SHIPPED_CHECKPOINT
    """Checkpoint: a directory, a root with a link `current`, or package://NAME/PATH."""
    seconds: float = 60.0
    """Time measured, after the first arm command and the warm-up."""
    warm_up: float = 10.0
    """Time after the first arm command that does not count [s]."""
    training: bool = False
    """Measure once more with training in the background."""
    page: bool = False
    """Measure once more with the operator's page, and two browsers that show it."""
    composed: bool = False
    """Camera, encoder, goal and policy node in one process."""
    rate: float = 30.0
    """Frames a second of the simulated camera."""
    realtime: int = 0
    """`realtime_priority` of camera, encoder, policy and arm, and of the simulated robot; 0: ordinary processes."""
    pages: int = 0
    """Browsers that show the operator's page meanwhile; 0: there is no page."""


@dataclass
class Record:
    """When each frame, by its capture stamp, reached each stage: ns of the clock that the processes share."""

    sent: dict[str, dict[int, int]] = field(default_factory=lambda: {stage: {} for stage in STAGES})

    def note(self, stage: str, stamp: int, when: int) -> None:
        self.sent[stage].setdefault(stamp, when)

    def between(self, first: int, last: int) -> "Record":
        """Only the frames captured in this time."""
        inside = {
            stage: {stamp: when for stamp, when in sent.items() if first <= stamp < last}
            for stage, sent in self.sent.items()
        }
        return Record(inside)

    def milliseconds(self, begin: str, end: str, only: set[int] | None = None) -> np.ndarray:
        """Time between two stages of every frame that reached both, in ms, float64 [frames]."""
        stamps = self.sent[begin].keys() & self.sent[end].keys()
        stamps = stamps & only if only is not None else stamps
        return np.array([1e-6 * (self.sent[end][stamp] - self.sent[begin][stamp]) for stamp in sorted(stamps)])


def listen(record: Record) -> Callable[[float], None]:
    """Note every message of the chain in `record`; returns a function that listens for some seconds."""
    import rclpy
    from diagnostic_msgs.msg import DiagnosticStatus
    from geometry_msgs.msg import TwistStamped
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import Image, TimeReference

    from rig_robot.common.message_fields import stamp_ns

    rclpy.init()
    node = rclpy.create_node("control_latency")
    # Deep, so that a message which waits for this program is not lost to it.
    stream = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)
    reliable = QoSProfile(depth=100)

    def left_the_driver(message: TimeReference) -> None:
        record.note("frame", stamp_ns(message.header.stamp), stamp_ns(message.time_ref))

    def heard(stage: str) -> Callable[[Any, Any], None]:
        def note(message: Any, information: Any) -> None:
            record.note(stage, stamp_ns(message.header.stamp), information["source_timestamp"])

        return note

    def commanded(message: DiagnosticStatus, information: Any) -> None:
        values = {item.key: item.value for item in message.values}
        if values["state"] == "moving":
            record.note("command", int(values["rests_on"]), information["source_timestamp"])

    node.create_subscription(TimeReference, "sim/camera/time_reference", left_the_driver, stream)
    node.create_subscription(Image, "rig/observation/image", heard("observation"), stream)
    node.create_subscription(Image, "rig/latent", heard("latent"), stream)
    node.create_subscription(TwistStamped, "rig/policy/twist", heard("twist"), reliable)
    node.create_subscription(DiagnosticStatus, "rig/arm/status", commanded, reliable)
    executor = SingleThreadedExecutor()
    executor.add_node(node)

    def spin(seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            executor.spin_once(timeout_sec=left)

    return spin


def node_processes(parent: int) -> dict[str, int]:
    """Process ids of the nodes that the process `parent` has started, by their module's last name."""
    found = {}
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            command = (directory / "cmdline").read_bytes().split(b"\0")
            status = (directory / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(status[1]) == parent and b"--ros-args" in command:
            found[command[command.index(b"-m") + 1].decode().rpartition(".")[2]] = int(directory.name)
    return found


def cpu_seconds(parent: int) -> dict[str, float]:
    """CPU time so far of each node that the process `parent` has started."""
    return {name: cpu_of(process) for name, process in node_processes(parent).items()}


def figures(record: Record) -> dict[str, Any]:
    """The figures of the JSON object; `record` holds only what counts."""
    sent = record.sent
    frames = sent["frame"].keys() | sent["observation"].keys()
    lost = frames - (sent["observation"].keys() & sent["latent"].keys())
    acted = set.intersection(*(set(sent[stage]) for stage in STAGES))
    if not acted:
        raise SystemExit("no frame became an arm command: is the checkpoint's policy moving the arm?")
    way = record.milliseconds("frame", "command", acted)
    hops = {}
    for name, (begin, end) in HOPS.items():
        each = record.milliseconds(begin, end, acted)
        hops[name] = {"median_ms": round(float(np.median(each)), 3), "p99_ms": round(float(np.percentile(each, 99)), 3)}
    return {
        "frames": len(frames),
        "lost": len(lost),
        "median_ms": round(float(np.median(way)), 3),
        "p99_ms": round(float(np.percentile(way, 99)), 3),
        "hops": hops,
        "commands": len(acted),
        "twists_without_command": len(sent["twist"].keys() - sent["command"].keys()),
        "rendering_median_ms": round(
            float(np.median([1e-6 * (when - stamp) for stamp, when in sent["frame"].items()])), 3
        ),
    }


@contextlib.contextmanager
def trainer(environment: dict[str, str]) -> Iterator[subprocess.Popen]:
    """A trainer node that has enough to learn for an hour: a robot's exploration, and many updates to see it by."""
    import gymnasium

    import rig_sim  # noqa: F401  registers the environments
    from rig_robot.checkpoints.checkpoint import activate, read_config
    from rig_robot.common.package_files import locate
    from rig_robot.learning.arguments import ExploreArgs, TrainArgs
    from rig_robot.learning.checkpoint_io import untrained as blank
    from rig_robot.learning.training.train import record

    with tempfile.TemporaryDirectory() as name:
        data = Path(name)
        record(ExploreArgs(out=data / "explored", steps=1500), gymnasium.make)
        known = read_config(locate(SHIPPED_CHECKPOINT))
        entries = known.camera, known.action, known.workspace
        train_args = TrainArgs(out=data, vae_updates=100_000)
        activate(blank.create(data / "checkpoints" / "untrained", *entries, train_args))
        given = {"checkpoints": data / "checkpoints", "work": data / "trainer", "old": f"[{data / 'explored'}]"}
        given |= {"episodes": f"[{data / 'episodes'}]"}
        parameters = [part for key, value in given.items() for part in ("-p", f"{key}:={value}")]
        command = [sys.executable, "-m", "rig_robot.nodes.trainer", "--ros-args", *parameters]
        process = subprocess.Popen(
            command, env=environment | dds_profile("small", environment), stdout=subprocess.DEVNULL
        )
        try:
            deadline = time.monotonic() + 60
            while not (data / "trainer" / "state.safetensors").exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("the trainer node does not begin to learn")
                time.sleep(0.2)
            yield process
            if process.poll() is not None:
                raise SystemExit("the trainer node ended before its time")
        finally:
            process.terminate()
            process.wait(20)


def both(args: Args) -> None:
    """Without and with training, or with the page, each by a program of its own."""
    os.environ.update(simulation_environment())
    arguments = ["--checkpoint", args.checkpoint, "--seconds", str(args.seconds), "--warm-up", str(args.warm_up)]
    arguments += ["--rate", str(args.rate), *(["--composed"] if args.composed else [])]
    arguments += ["--realtime", str(args.realtime)]

    def run(*more: str) -> dict[str, Any]:
        command = [sys.executable, __file__, *arguments, *more]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        line = ""
        for line in process.stdout:
            print(line, end="", flush=True)
        if process.wait():
            raise SystemExit(process.returncode)
        return json.loads(line)

    without = run()
    if args.page:
        print("the same with the operator's page in two browsers", flush=True)
        shown = run("--pages", "2")
        ratio = round(shown["p99_ms"] / without["p99_ms"], 2)
        print(json.dumps({"without": without, "with_page": shown, "p99_ratio": ratio}))
        return
    print("the same with training in the background", flush=True)
    with trainer(dict(os.environ)) as process:
        before, began = cpu_of(process.pid), time.monotonic()
        busy = run()
        share = (cpu_of(process.pid) - before) / (time.monotonic() - began)
    ratio = round(busy["p99_ms"] / without["p99_ms"], 2)
    print(f"the trainer took {share:.0%} of a core")
    found = {"without": without, "with_training": busy, "trainer_cpu": round(share, 2), "p99_ratio": ratio}
    print(json.dumps(found))


def cpu_of(process: int) -> float:
    """CPU time that a process has taken so far [s]."""
    status = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(status[11]) + int(status[12])) / os.sysconf("SC_CLK_TCK")


def main(args: Args) -> None:
    if args.training or args.page:
        both(args)
        return
    os.environ.update(simulation_environment())
    environment = dict(os.environ)
    os.environ.update(dds_profile("small", os.environ))  # for this listener; each node gets its own
    record = Record()
    log = tempfile.TemporaryFile()  # noqa: SIM115 (its life is the program's)
    options = ["--checkpoint", args.checkpoint, "--goals", "0", *([] if args.pages else ["--no-page"])]
    options += ["--composed"] if args.composed else []
    parameters = tempfile.NamedTemporaryFile("w", suffix=".yaml")  # noqa: SIM115 (its life is the program's)
    parameters.write(f"sim: {{camera_rate: {args.rate}}}\n")
    for node in HOPS:
        parameters.write(f"{node}: {{realtime_priority: {args.realtime}}}\n")
    parameters.flush()
    browsers: list[Any] = []
    system = subprocess.Popen(
        [sys.executable, "-m", "rig_robot.cli", "sim", *options, "--params-file", parameters.name],
        stdout=log,
        stderr=subprocess.STDOUT,
        env=environment,
    )
    os.nice(10)  # whoever measures must not push aside what is measured
    try:
        spin = listen(record)
        print("waiting for the first arm command", flush=True)
        deadline = time.monotonic() + 60
        while not record.sent["command"]:
            spin(0.2)
            if system.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"no arm command within 60 s; the system says:\n{tail(log)}")
        if args.realtime:
            prefer(node_processes(system.pid)["robot_node"], args.realtime)
        browsers += open_pages(args.pages)
        spin(args.warm_up)
        print(f"measuring for {args.seconds:g} s", flush=True)
        before, first = cpu_seconds(system.pid), time.time_ns()
        spin(args.seconds)
        after, last = cpu_seconds(system.pid), time.time_ns()
        spin(0.5)  # what is on its way
        if system.poll() is not None:
            raise SystemExit(f"the system ended before its time; it says:\n{tail(log)}")
    finally:
        for browser in browsers:
            browser.close()
        system.send_signal(signal.SIGINT)
        try:
            system.wait(20)
        except subprocess.TimeoutExpired:
            system.kill()
    found = figures(record.between(first, last))
    show(found, {name: (after[name] - before.get(name, 0.0)) / args.seconds for name in after})
    print(json.dumps(found))


def prefer(process: int, priority: int) -> None:
    """Run all threads of the simulated robot by SCHED_FIFO: it stands where hardware and its drivers are."""
    for thread in Path(f"/proc/{process}/task").iterdir():
        os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, os.sched_param(priority))


def open_pages(count: int) -> list[Any]:
    """Open the operator's page in browsers."""
    if not count:
        return []
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from page_harness import Browser, page_port
    from ros_harness import Listener

    listener = Listener("page_finder")
    port = page_port(listener)
    listener.close()
    browsers = [Browser() for _ in range(count)]
    for browser in browsers:
        browser.open(f"http://127.0.0.1:{port}/")
    return browsers


def tail(log: Any) -> str:
    log.seek(0)
    return log.read()[-3000:].decode(errors="replace")


def show(found: dict[str, Any], cpu: dict[str, float]) -> None:
    """The table for people."""
    print(f"\n{found['frames']} frames, {found['lost']} lost; {found['commands']} of them acted on")
    print(f"rendering, before the way begins: median {found['rendering_median_ms']:.1f} ms")
    print(f"{'hop':>12} {'median ms':>10} {'p99 ms':>8} {'share':>6}")
    total = sum(hop["median_ms"] for hop in found["hops"].values())
    for name, hop in found["hops"].items():
        print(f"{name:>12} {hop['median_ms']:10.2f} {hop['p99_ms']:8.2f} {hop['median_ms'] / total:6.0%}")
    print(f"{'whole way':>12} {found['median_ms']:10.2f} {found['p99_ms']:8.2f}")
    print("CPU of one core: " + ", ".join(f"{name} {share:.0%}" for name, share in sorted(cpu.items())) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
