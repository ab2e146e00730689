"""Does a test fail when a safety check is gone? Each check of the filter and the supervisor is taken out in turn.

The project is copied, one check in the copy is disabled, and the tests of safety are run there. A mutant that survives
is a check that no test would miss.

    python benchmarks/mutations.py
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tyro

ROOT = Path(__file__).parents[1]
TESTS = ("test_safety.py", "test_supervisor.py", "test_freshness.py", "test_kinematics.py")
SAFETY, SUPERVISOR, MEASURED, KINEMATICS, FRESHNESS = (
    f"rig_robot/{name}.py"
    for name in ("robot/safety", "robot/supervisor", "robot/measured_joints", "robot/kinematics", "freshness")
)
SOONEST = {SUPERVISOR: "test_supervisor.py", MEASURED: "test_supervisor.py", KINEMATICS: "test_kinematics.py"}
"""The tests that find most mutants of a file, where those are not the first of `TESTS`: they run first."""

MUTANTS = (
    # What is disabled, where, the code, what stands there instead.
    ("a bound that is missing", SAFETY, "value.size == 0 or not np.isfinite(value).all()", "False"),
    ("a bound that is not above 0", SAFETY, "and not (value > 0).all()", "and False"),
    ("a box inside out", SAFETY, "not two_corners or not (self.high - self.low", "False and not (self.high - self.low"),
    ("singularity_slow below stop", SAFETY, "if self.singularity_slow >= self.singularity_stop:", "if False:"),
    ("bounds for each joint", SAFETY, "if getattr(limits, name).shape != (joints,):", "if False:"),
    ("finite", SAFETY, "if not np.isfinite(velocity).all():", "if False:"),
    ("fresh", SAFETY, "if not 0.0 <= age <= self._limits.max_age:", "if not 0.0 <= age:"),
    ("an age below 0", SAFETY, "if not 0.0 <= age <= self._limits.max_age:", "if age > self._limits.max_age:"),
    ("an age that is no number", SAFETY, "if not 0.0 <= age <= self._limits.max_age:", "if age < 0 or age > 0.25:"),
    ("ramp", SAFETY, "min(1.0, self.blend + dt / self._ramp)", "1.0"),
    ("ramp of the joints", SAFETY, "(self.limits.commanded_speed * self._eased.blend)", "self.limits.commanded_speed"),
    ("tool speed", SAFETY, "limited = _shorten(wanted, self._limits.tool_speed)", "limited = wanted"),
    (
        "tool acceleration",
        SAFETY,
        "_shorten(limited - self.velocity, self._limits.tool_acceleration * dt)",
        "limited - self.velocity",
    ),
    ("slowing before the box", SAFETY, "np.clip(velocity, -down, up) * dt", "velocity * dt"),
    (
        "box",
        SAFETY,
        "return (np.clip(end, np.minimum(low, position), np.maximum(high, position)) - position) / dt",
        "return velocity",
    ),
    ("box, coming back from outside", SAFETY, "np.minimum(low, position), np.maximum(high, position)", "low, high"),
    (
        "turning speed",
        SAFETY,
        "_shorten(_rotation(self._turn, self._orientation), self.limits.turn_speed * dt)",
        "_rotation(self._turn, self._orientation)",
    ),
    ("slowing near a singularity", SAFETY, "if then <= max(slow, now):", "if True:"),
    ("leaving a singularity", SAFETY, "if then <= max(slow, now):", "if then <= slow:"),
    ("joint speed", SAFETY, "change = rate / slow - self.velocity", "change = rate - self.velocity"),
    ("joint acceleration", SAFETY, "rate = self.velocity + change / hard", "rate = self.velocity + change"),
    ("box once more", SAFETY, "if outside > 0.0 and", "if False and"),
    ("margins once more", SAFETY, "(clearance := arm.clearance(position)) < near and", "(clearance := 1.0) < near and"),
    (
        "singularity once more",
        SAFETY,
        "(condition := arm.condition(position)) > stop and",
        "(condition := 0.0) > stop and",
    ),
    (
        "what is forbidden",
        SAFETY,
        'if why is not None:\n            return self.brake(dt, f"stopped',
        'if False:\n            return self.brake(dt, f"stopped',
    ),
    ("what is forbidden while braking", SAFETY, "if self._forbidden(position) is not None:", "if False:"),
    ("braking as the joints may", SAFETY, "max(0.0, 1.0 - dt / braking) if", "0.0 if"),
    ("braking at all", SAFETY, "max(0.0, 1.0 - dt / braking) if", "1.0 if"),
    ("room to brake", SAFETY, " or self._forbidden(position + rate * self._braking(rate) / 2)", ""),
    (
        "room to brake before the end of a joint's range",
        SAFETY,
        "if (position < arm.lower - 1e-9).any() or",
        "if False and",
    ),
    ("what no solver solves", SAFETY, "except NotReached as why_not:", "except ZeroDivisionError as why_not:"),
    (
        "a start outside the joint limits",
        SAFETY,
        "if not (np.abs(measured - inside) <= self.limits.joint_speed * self._ahead).all():",
        "if False:",
    ),
    ("tracking error", SAFETY, "return float(error.max()) if", "return 0.0 if"),
    ("box, for Servo", SAFETY, "allowed = self.limits.into_box(self.target, eased, self._timeout)", "allowed = eased"),
    (
        "box while braking, for Servo",
        SAFETY,
        "self._eased.velocity = self.limits.into_box(self.target, velocity, self._timeout)",
        "self._eased.velocity = velocity",
    ),
    ("turning speed, for Servo", SAFETY, "_shorten(turn, self.limits.turn_speed * self._eased.blend)", "turn"),
    ("braking, for Servo", SAFETY, "velocity = self._eased.velocity + slower", "velocity = self._eased.velocity"),
    (
        "closing in slowly",
        KINEMATICS,
        "return float((allowed / np.maximum(closing, allowed)).min(initial=1.0))",
        "return 1.0",
    ),
    ("elbow speed", KINEMATICS, "away * min(1.0, lean / max(float(np.abs(away).max()), 1e-12))", "away"),
    (
        "joint ranges of the kinematics",
        KINEMATICS,
        "return np.clip(start + move, self.lower, self.upper)",
        "return start + move",
    ),
    (
        "nothing moves unless armed",
        SUPERVISOR,
        "if self.state.armed else self._at_rest(steady, dt)",
        "if True else None",
    ),
    (
        "the emergency stop latches",
        SUPERVISOR,
        "if self.state is ArmState.ESTOPPED:\n            raise",
        "if False:\n            raise",
    ),
    ("the emergency stop", SUPERVISOR, "self._become(ArmState.ESTOPPED, reason)", "pass"),
    (
        "a reset leaves it disarmed",
        SUPERVISOR,
        'self._become(ArmState.DISARMED, "emergency stop was reset")',
        'self._become(ArmState.WAITING, "emergency stop was reset")',
    ),
    (
        "a reset of what is not stopped",
        SUPERVISOR,
        "if self.state is not ArmState.ESTOPPED:\n            raise",
        "if False:\n            raise",
    ),
    ("coming to rest before arming", SUPERVISOR, "if self.braking:\n            raise", "if False:\n            raise"),
    (
        "joints known when arming",
        SUPERVISOR,
        "if (wrong := self._joints.doubt(steady) or self._joints_stale(steady)) is not None:",
        "if (wrong := self._joints.doubt(steady)) is not None:",
    ),
    (
        "operator there when arming",
        SUPERVISOR,
        "if (absent := self._operator_absent(steady)) is not None:",
        "if (absent := None) is not None:",
    ),
    ("a twist from before arming", SUPERVISOR, "self._twist = None  # what", "pass  # what"),
    ("a clock that jumps", SUPERVISOR, "        if jump:\n", "        if False:\n"),
    ("an arm that does not follow", SUPERVISOR, "if error <= allowed:", "if True:"),
    (
        "an old joint state is not compared",
        SUPERVISOR,
        "        if self._joints.age(steady) > YOUNG:\n            return None\n        error",
        "        error",
    ),
    (
        "doubt when arming",
        SUPERVISOR,
        "if (wrong := self._joints.doubt(steady) or self._joints_stale(steady)) is not None:",
        "if (wrong := self._joints_stale(steady)) is not None:",
    ),
    ("elsewhere when arming", SUPERVISOR, "if (np.abs(position - self._sent) <= allowed).all():", "if True:"),
    (
        "a person's word",
        SUPERVISOR,
        "            self._joints.accept_place()\n        self._relief",
        "        self._relief",
    ),
    (
        "joint states that agree before anything is sent",
        SUPERVISOR,
        "self._begun = self._joints.settled",
        "self._begun = True",
    ),
    ("joint states without a stamp", SUPERVISOR, "if arrival.age > self._timing.watchdog:", "if False:"),
    (
        "false measurements disarm",
        SUPERVISOR,
        "self._joints.disbelieved or self._frozen(steady)",
        "self._frozen(steady)",
    ),
    (
        "frozen joint states disarm",
        SUPERVISOR,
        "self._joints.disbelieved or self._frozen(steady)",
        "self._joints.disbelieved",
    ),
    (
        "stale joint states are not frozen",
        SUPERVISOR,
        "told <= LEAVES or self._joints.age(steady) > YOUNG",
        "told <= LEAVES",
    ),
    ("a pause of this process", SUPERVISOR, "limit + paused", "limit"),
    ("joint states by their own rate", SUPERVISOR, "or self._joints.learnt_age(self._timing.watchdog)", "or 0.25"),
    ("joint states by what is given", SUPERVISOR, "self._timing.joint_states or self._joints", "self._joints"),
    (
        "no relief after a stop",
        SUPERVISOR,
        "        self._relief = None\n        if self.state is not",
        "        if self.state is not",
    ),
    (
        "no relief after a disarming",
        SUPERVISOR,
        '        self._relief = None\n        self.disarm("by',
        '        self.disarm("by',
    ),
    ("relief to where it stands still", SUPERVISOR, "and joints.still(steady) >= RELIEF_STILL", ""),
    ("relief by a short way", SUPERVISOR, "error <= 2.0 * self._safety", "error <= 1e9 * self._safety"),
    (
        "relief by fresh measurements",
        SUPERVISOR,
        "elif place is not None and self._joints.age(steady) <= YOUNG:",
        "elif place is not None:",
    ),
    ("joint speed of the relief", SAFETY, "speed = min(fast, float(", "speed = min(float("),
    ("tool speed of the relief", SAFETY, "fast = min(fast, self.limits.tool_speed *", "fast = min(fast, 1e9 *"),
    ("joint acceleration of the relief", SAFETY, "float(np.abs(self.velocity).max()) + hard * dt, braked", "braked"),
    ("braking of the relief", SAFETY, "+ hard * dt, braked, distance / dt)", "+ hard * dt, distance / dt)"),
    (
        "what is forbidden to the relief",
        SAFETY,
        'if why is not None:\n            return self.brake(dt, f"{note}; stopped',
        'if False:\n            return self.brake(dt, f"{note}; stopped',
    ),
    ("a measurement that is no number", MEASURED, "if not np.isfinite(position).all():", "if False:"),
    ("a measurement that cannot be", MEASURED, "if not self._reachable(place, position, steady - since):", "if False:"),
    ("slack that adds up", MEASURED, "(self._window[-1], self._window[0]) if", "(self._window[-1],) if"),
    ("motion while nobody looked", MEASURED, "min(max(seconds, 0.0), WINDOW)", "max(seconds, 0.0)"),
    (
        "two false measurements in a row",
        MEASURED,
        "self._in_a_row >= 2 or (self._in_a_row and soon)",
        "self._in_a_row and soon",
    ),
    ("two within a second", MEASURED, "self._in_a_row >= 2 or (self._in_a_row and soon)", "self._in_a_row >= 2"),
    ("measurements that agree", MEASURED, "return self._agreeing >= SETTLED", "return True"),
    ("a place where it was not seen to go", MEASURED, "self.unseen = True", "pass"),
    ("a place that is agreed on without a gap", MEASURED, "gap <= WINDOW and", ""),
    ("a place that is agreed on for a while", MEASURED, "if steady - known.since < ADOPTED:", "if False:"),
    (
        "stale joint states",
        SUPERVISOR,
        "stop = self._joints_stale(steady, paused) or self._operator_absent(steady)",
        "stop = self._operator_absent(steady)",
    ),
    (
        "operator",
        SUPERVISOR,
        "stop = self._joints_stale(steady, paused) or self._operator_absent(steady)",
        "stop = self._joints_stale(steady, paused)",
    ),
    ("time lost by a pause", SUPERVISOR, "self._safety.catch_up(dt)", "dt"),
    (
        "one twist moves for a while only",
        SUPERVISOR,
        "if steady - arrival.steady > self._motion_time:",
        "if False:",
    ),
    (
        "a stop while parking",
        SUPERVISOR,
        "        if stop is not None:\n            self.disarm(",
        "        if False:\n            self.disarm(",
    ),
    ("parking without end", SUPERVISOR, "if steady - self._nearest[1] > PARK_PATIENCE:", "if False:"),
    ("parking disarms", SUPERVISOR, 'self.disarm("parked")', "pass"),
    ("a park position inside the box", SUPERVISOR, "if park is not None and not", "if False and not"),
    (
        "parking while disarmed",
        SUPERVISOR,
        'if not self.state.armed:\n            raise Refused(f"the arm is',
        'if False:\n            raise Refused(f"the arm is',
    ),
    ("a stamp from the future", FRESHNESS, "if age < -FUTURE_LIMIT:", "if False:"),
    (
        "age goes on by the steady clock",
        FRESHNESS,
        "return self.age + (time.monotonic() if steady is None else steady) - self.steady",
        "return self.age",
    ),
    ("a jump of the clock", FRESHNESS, "return jump if abs(jump) > self._limit else 0.0", "return 0.0"),
)


@dataclass(frozen=True)
class Args:
    """What to mutate."""

    only: str = ""
    """Only checks whose name contains this."""


def survives(file: str, old: str, new: str, copy: Path) -> bool:
    """Return whether all tests pass with one check disabled."""
    source = (ROOT / file).read_text()
    if source.count(old) != 1:
        raise SystemExit(f"{file} has {source.count(old)} times, not once: {old}")
    (copy / file).write_text(source.replace(old, new))
    try:
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        likely = SOONEST.get(file, TESTS[0])
        tests = [f"tests/{test}" for test in (likely, *(test for test in TESTS if test != likely))]
        done = subprocess.run([*command, *tests], cwd=copy, capture_output=True, text=True)
    finally:
        (copy / file).write_text(source)
    if done.returncode not in (0, 1):
        raise SystemExit(done.stdout + done.stderr)
    return done.returncode == 0


def main(args: Args) -> None:
    survivors = []
    chosen = [mutant for mutant in MUTANTS if args.only in mutant[0]]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("rig_robot", "sim", "tests", "config"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
        for name in ("pyproject.toml", "package.xml"):
            shutil.copy(ROOT / name, copy)
        for name, file, old, new in chosen:
            alive = survives(file, old, new, copy)
            print(f"{'SURVIVES' if alive else 'found':>8}  {Path(file).name:14} {name}", flush=True)
            survivors += [name] * alive
    print(json.dumps({"mutants": len(chosen), "found": len(chosen) - len(survivors), "survivors": survivors}))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
