"""Memory and CPU of the nodes that a robot runs: camera, encoder, goal, policy and arm, separate and composed.

    python benchmarks/footprint.py

Starts the simulated system as `rig sim` does, without page, recorder or trainer, at rest (nobody arms the arm; frames
come and are encoded) and reaching random goals; once with each node a process, once with `--composed`, in turn and
several times over. Prints each process's median and one JSON object as the last line: `rss_mb` and `pss_mb` summed over
the nodes' processes (PSS counts a page that several share by its share), `cpu_percent` of one core while reaching,
`idle_cpu_percent` at rest. The simulation itself and the runner are not counted: a robot has its hardware there.

CPU time is what the kernel has charged, so a busy machine changes it little; a machine so busy that frames are dropped
makes it smaller, and `frames_per_second` says whether that was so.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tyro
from control_latency import cpu_seconds, node_processes, tail

from rig_robot.bringup.environment import dds_profile, simulation_environment

NODES = ("camera", "encoder", "goal", "policy", "arm", "composed")
"""Modules of the nodes that are measured"""
START = 120.0
"""Longest time until the system publishes latents, and moves if it should [s]"""


@dataclass
class Args:
    seconds: float = 30.0
    """Time measured in each run."""
    warm_up: float = 5.0
    """Time after the first latent, or the first arm command, that does not count [s]."""
    repeats: int = 3
    """Runs of each kind; the medians are told."""


@dataclass
class Footprint:
    """What one run has measured, by process: memory in MB (10^6 bytes), CPU in percent of a core."""

    rss: dict[str, float]
    pss: dict[str, float]
    cpu: dict[str, float]
    frames_per_second: float


class Heard:
    """Counts latents and notices the arm's first move, in this process."""

    def __init__(self) -> None:
        import rclpy
        from diagnostic_msgs.msg import DiagnosticStatus
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.qos import QoSProfile, ReliabilityPolicy
        from sensor_msgs.msg import Image

        self.latents, self.moves = 0, False
        rclpy.init()
        node = rclpy.create_node("footprint")
        node.create_subscription(
            Image, "rig/latent", self._latent, QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
        )
        node.create_subscription(DiagnosticStatus, "rig/arm/status", self._status, 10)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)

    def _latent(self, _: object) -> None:
        self.latents += 1

    def _status(self, message: object) -> None:
        self.moves |= any(item.key == "state" and item.value == "moving" for item in message.values)  # type: ignore[attr-defined]

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)


def memory(pid: int) -> tuple[float, float]:
    """Return a process's resident and proportional set size [MB]."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kibibytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return 1.024e-3 * kibibytes["Rss"], 1.024e-3 * kibibytes["Pss"]


def measure(heard: Heard, environment: dict[str, str], composed: bool, reaching: bool, args: Args) -> Footprint:
    """Start a system, measure it, and stop it."""
    options = ["--composed"] * composed + ["--no-page", "--goals", "0" if reaching else "-1"]
    log = tempfile.TemporaryFile()  # noqa: SIM115 (its life is the system's)
    system = subprocess.Popen(
        [sys.executable, "-m", "rig_robot.cli", "sim", *options],
        stdout=log,
        stderr=subprocess.STDOUT,
        env=environment,
    )
    heard.moves = False
    try:
        deadline, before = time.monotonic() + START, heard.latents
        while heard.latents == before or (reaching and not heard.moves):
            heard.spin(0.2)
            if system.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the system does not work within {START:g} s; it says:\n{tail(log)}")
        heard.spin(args.warm_up)
        first, began, counted = cpu_seconds(system.pid), time.monotonic(), heard.latents
        heard.spin(args.seconds)
        last, lasted = cpu_seconds(system.pid), time.monotonic() - began
        found = {name: pid for name, pid in node_processes(system.pid).items() if name in NODES}
        sizes = {name: memory(pid) for name, pid in found.items()}
        return Footprint(
            {name: size[0] for name, size in sizes.items()},
            {name: size[1] for name, size in sizes.items()},
            {name: 100 * (last[name] - first[name]) / lasted for name in found},
            (heard.latents - counted) / lasted,
        )
    finally:
        system.send_signal(signal.SIGINT)
        system.wait(20)
        log.close()


def median(runs: list[dict[str, float]]) -> dict[str, float]:
    """Return each process's median over runs."""
    return {name: round(statistics.median(run[name] for run in runs), 1) for name in runs[0]}


def summary(idle: list[Footprint], reaching: list[Footprint]) -> dict[str, object]:
    """Return the figures of one kind of system: sums over its nodes' processes, and each process's."""
    rss, pss = median([run.rss for run in reaching]), median([run.pss for run in reaching])
    cpu, at_rest = median([run.cpu for run in reaching]), median([run.cpu for run in idle])
    return {
        "rss_mb": round(sum(rss.values())),
        "pss_mb": round(sum(pss.values())),
        "cpu_percent": round(sum(cpu.values()), 1),
        "idle_cpu_percent": round(sum(at_rest.values()), 1),
        "frames_per_second": round(statistics.median(run.frames_per_second for run in reaching), 1),
        "processes": {
            name: {
                "rss_mb": rss[name],
                "pss_mb": pss[name],
                "cpu_percent": cpu[name],
                "idle_cpu_percent": at_rest[name],
            }
            for name in rss
        },
    }


def main(args: Args) -> None:
    os.environ.update(simulation_environment())
    environment = dict(os.environ)
    os.environ.update(dds_profile("small", os.environ))  # for this listener
    heard = Heard()
    kinds = [(composed, reaching) for reaching in (False, True) for composed in (False, True)]
    runs: dict[tuple[bool, bool], list[Footprint]] = {kind: [] for kind in kinds}
    for turn in range(args.repeats):
        for composed, reaching in kinds:
            found = measure(heard, environment, composed, reaching, args)
            runs[composed, reaching].append(found)
            what = f"{'composed' if composed else 'separate'}, {'reaching' if reaching else 'at rest'}"
            load = f"{found.frames_per_second:.1f} frames/s, load of the machine {os.getloadavg()[0]:.1f}"
            print(
                f"{turn + 1}: {what}: RSS {sum(found.rss.values()):.0f} MB, PSS {sum(found.pss.values()):.0f} MB, "
                f"CPU {sum(found.cpu.values()):.0f} %; {load}",
                flush=True,
            )
    result = {
        name: summary(runs[composed, False], runs[composed, True])
        for name, composed in (("separate", False), ("composed", True))
    }
    print(f"\n{'':>20} {'RSS MB':>7} {'PSS MB':>7} {'CPU %':>6} {'at rest':>8}")
    for name, figures in result.items():
        for process, of in figures["processes"].items():  # type: ignore[attr-defined]
            rss, pss, cpu, at_rest = of.values()
            print(f"{name:>9} {process:>10} {rss:7} {pss:7} {cpu:6} {at_rest:8}")
    print(json.dumps(result))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
