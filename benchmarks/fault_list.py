"""Of `faults.py`: the faults, how each is made and repaired, and whether the arm must stop."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass

from fault_bed import Bed
from fault_places import WORKSTATION, run
from standin.ground_truth import Lie


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


def _switch(name: str, value: float | bool) -> Callable[[Bed], None]:
    return lambda bed: setattr(bed.truth, name, value)


def _lie(lie: Lie, seconds: float | None = None) -> Callable[[Bed], None]:
    return lambda bed: bed.lie(lie, seconds)


def _signal_launcher(number: signal.Signals) -> Callable[[Bed], None]:
    return lambda bed: bed.bench.systems[0].process.send_signal(number)


def _cut(bed: Bed) -> None:
    run("ip", "netns", "exec", WORKSTATION, "ip", "link", "set", "veth", "down")


def _join(bed: Bed) -> None:
    run("ip", "netns", "exec", WORKSTATION, "ip", "link", "set", "veth", "up")


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
