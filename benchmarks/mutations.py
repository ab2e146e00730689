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
TESTS = (
    *("test_safety.py", "test_twist_filter.py", "test_supervisor.py", "test_measured_joints.py"),
    *("test_supervisor_laws.py", "test_freshness.py", "test_kinematics.py"),
)
SOURCES = (*sorted(ROOT.glob("rig_robot/arm/*.py")), ROOT / "rig_robot" / "common" / "message_age.py")
"""Where the checks stand; each piece of code below occurs once in them."""
SOONEST = {
    "kinematics.py": "test_kinematics.py",
    "message_age.py": "test_freshness.py",
    "twist_filter.py": "test_twist_filter.py",
} | dict.fromkeys(("safety.py", "limits.py", "tool_ramp.py"), "test_safety.py")
"""The tests that find most mutants of a file run first; of all others, those of the supervisor."""

MUTANTS = (
    # What is disabled, the code, what stands there instead.
    ("a bound that is missing", "value.size == 0 or not np.isfinite(value).all()", "False"),
    ("a bound that is not above 0", "and not (value > 0).all()", "and False"),
    ("a box inside out", "not two_corners or not (self.high - self.low", "False and not (self.high - self.low"),
    ("singularity_slow below stop", "if self.singularity_slow >= self.singularity_stop:", "if False:"),
    ("bounds for each joint", "if getattr(limits, name).shape != (joints,):", "if False:"),
    ("finite", "if not np.isfinite(velocity).all():", "if False:"),
    ("fresh", "if not 0.0 <= age <= self._limits.max_age:", "if not 0.0 <= age:"),
    ("an age below 0", "if not 0.0 <= age <= self._limits.max_age:", "if age > self._limits.max_age:"),
    ("an age that is no number", "if not 0.0 <= age <= self._limits.max_age:", "if age < 0 or age > 0.25:"),
    ("ramp", "min(1.0, self.blend + dt / self._ramp)", "1.0"),
    ("ramp of the joints", "(self.limits.commanded_speed * self._eased.blend)", "self.limits.commanded_speed"),
    ("tool speed", "limited = shorten(wanted, self._limits.tool_speed)", "limited = wanted"),
    (
        "tool acceleration",
        "shorten(limited - self.velocity, self._limits.tool_acceleration * dt)",
        "limited - self.velocity",
    ),
    ("slowing before the box", "np.clip(velocity, -down, up) * dt", "velocity * dt"),
    (
        "box",
        "return (np.clip(end, np.minimum(low, position), np.maximum(high, position)) - position) / dt",
        "return velocity",
    ),
    ("box, coming back from outside", "np.minimum(low, position), np.maximum(high, position)", "low, high"),
    (
        "turning speed",
        "shorten(rotation(self._turn, self._orientation), self.limits.turn_speed * dt)",
        "rotation(self._turn, self._orientation)",
    ),
    ("slowing near a singularity", "if then <= max(slow, now):", "if True:"),
    ("leaving a singularity", "if then <= max(slow, now):", "if then <= slow:"),
    ("joint speed", "change = rate / slow - self.velocity", "change = rate - self.velocity"),
    ("joint acceleration", "rate = self.velocity + change / hard", "rate = self.velocity + change"),
    (
        "box once more",
        "if outside > 0.0 and outside > self.limits.outside(arm.",
        "if False and outside > self.limits.outside(arm.",
    ),
    ("margins once more", "(clearance := arm.clearance(position)) < near and", "(clearance := 1.0) < near and"),
    (
        "singularity once more",
        "(condition := arm.condition(position)) > stop and",
        "(condition := 0.0) > stop and",
    ),
    (
        "what is forbidden",
        'if why is not None:\n            return self.brake(dt, f"stopped',
        'if False:\n            return self.brake(dt, f"stopped',
    ),
    ("what is forbidden while braking", "if self._forbidden(position) is not None:", "if False:"),
    ("braking as the joints may", "max(0.0, 1.0 - dt / braking) if", "0.0 if"),
    ("braking at all", "max(0.0, 1.0 - dt / braking) if", "1.0 if"),
    ("room to brake", " or self._forbidden_rest(position + rate * self._braking(rate) / 2)", ""),
    (
        "room to brake before the end of a joint's range",
        "if (position < arm.lower - 1e-9).any() or",
        "if False and",
    ),
    ("what no solver solves", "except NotReached as why_not:", "except ZeroDivisionError as why_not:"),
    (
        "a start outside the joint limits",
        "if not (np.abs(measured - inside) <= self.limits.joint_speed * self._ahead).all():",
        "if False:",
    ),
    ("tracking error", "return float(error.max()) if", "return 0.0 if"),
    ("box, for Servo", "allowed = self.limits.into_box(self.target, eased, self._timeout)", "allowed = eased"),
    (
        "box while braking, for Servo",
        "self._eased.velocity = self.limits.into_box(self.target, velocity, self._timeout)",
        "self._eased.velocity = velocity",
    ),
    ("turning speed, for Servo", "shorten(turn, self.limits.turn_speed * self._eased.blend)", "turn"),
    ("braking, for Servo", "velocity = self._eased.velocity + slower", "velocity = self._eased.velocity"),
    (
        "closing in slowly",
        "return float((allowed / np.maximum(closing, allowed)).min(initial=1.0))",
        "return 1.0",
    ),
    ("elbow speed", "away * min(1.0, lean / max(float(np.abs(away).max()), 1e-12))", "away"),
    (
        "joint ranges of the kinematics",
        "return np.clip(start + move, self.lower, self.upper)",
        "return start + move",
    ),
    (
        "nothing moves unless armed",
        "if self.state.armed else self._at_rest(steady, dt)",
        "if True else None",
    ),
    (
        "the emergency stop latches",
        "if self.state is ArmState.ESTOPPED:\n            raise",
        "if False:\n            raise",
    ),
    ("the emergency stop", "self._become(ArmState.ESTOPPED, reason)", "pass"),
    (
        "a reset leaves it disarmed",
        'self._become(ArmState.DISARMED, "emergency stop was reset")',
        'self._become(ArmState.WAITING, "emergency stop was reset")',
    ),
    (
        "a reset of what is not stopped",
        "if self.state is not ArmState.ESTOPPED:\n            raise",
        "if False:\n            raise",
    ),
    ("coming to rest before arming", "if self.braking:\n            raise", "if False:\n            raise"),
    (
        "joints known when arming",
        "joints.doubt(steady) or liveness.joints_stale(steady) or liveness.operator_absent(steady)",
        "joints.doubt(steady) or liveness.operator_absent(steady)",
    ),
    (
        "operator there when arming",
        "joints.doubt(steady) or liveness.joints_stale(steady) or liveness.operator_absent(steady)",
        "joints.doubt(steady) or liveness.joints_stale(steady)",
    ),
    ("a twist from before arming", "self._twists.forget()", "pass"),
    ("a clock that jumps", "        if jump:\n", "        if False:\n"),
    ("an arm that does not follow", "if error <= allowed:", "if True:"),
    (
        "an old joint state is not compared",
        "        if self._joints.age(steady) > YOUNG:\n            return None\n        error",
        "        error",
    ),
    (
        "doubt when arming",
        "joints.doubt(steady) or liveness.joints_stale(steady) or liveness.operator_absent(steady)",
        "liveness.joints_stale(steady) or liveness.operator_absent(steady)",
    ),
    ("elsewhere when arming", "or not self.unseen or (np.abs(position - sent)", "or True or (np.abs(position - sent)"),
    (
        "a person's word",
        '            self._joints.accept_place()\n        self.disarm("by',
        '            pass\n        self.disarm("by',
    ),
    (
        "joint states that agree before anything is sent",
        "self._begun = self._joints.settled",
        "self._begun = True",
    ),
    ("joint states without a stamp", "if arrival.age > watchdog:", "if False:"),
    (
        "false measurements disarm",
        "self._joints.disbelieved or repeated",
        "repeated",
    ),
    (
        "frozen joint states disarm",
        "self._joints.disbelieved or repeated",
        "self._joints.disbelieved",
    ),
    (
        "stale joint states are not frozen",
        "if self._joints.age(steady) > YOUNG:\n            self._frozen",
        "if False:\n            self._frozen",
    ),
    ("a pause of this process", "limit + paused", "limit"),
    ("joint states by their own rate", "or self._joints.learnt_age(watchdog)", "or 0.25"),
    ("joint states by what is given", "self.timing.joint_states or self._joints", "self._joints"),
    (
        "no relief after a stop",
        "        self._relief.cancel()\n        if self.state is not",
        "        if self.state is not",
    ),
    (
        "no relief after a disarming",
        'self.disarm("by service", may_relieve=False)',
        'self.disarm("by service")',
    ),
    ("relief to where it stands still", "and joints.still(steady) >= STILL", ""),
    ("relief by a short way", "joints, 2.0 * tracking_error", "joints, 1e9 * tracking_error"),
    (
        "relief by fresh measurements",
        "return self._place if self._joints.age(steady) <= YOUNG else None",
        "return self._place",
    ),
    ("joint speed of the relief", "return min(fast, now + hard * dt", "return min(now + hard * dt"),
    ("tool speed of the relief", "fast = min(fast, limits.tool_speed *", "fast = min(fast, 1e9 *"),
    ("joint acceleration of the relief", "now + hard * dt, braked", "braked"),
    ("braking of the relief", "+ hard * dt, braked, distance / dt)", "+ hard * dt, distance / dt)"),
    (
        "what is forbidden to the relief",
        'if why is not None:\n            return self.brake(dt, f"{note}; stopped',
        'if False:\n            return self.brake(dt, f"{note}; stopped',
    ),
    ("a measurement that is no number", "if not np.isfinite(position).all():", "if False:"),
    ("a measurement that cannot be", "if not self._reachable(place, position, steady - since):", "if False:"),
    ("slack that adds up", "(self._window[-1], self._window[0]) if", "(self._window[-1],) if"),
    ("motion while nobody looked", "min(max(seconds, 0.0), WINDOW)", "max(seconds, 0.0)"),
    (
        "two false measurements in a row",
        "self._in_a_row >= 2 or (self._in_a_row and soon)",
        "self._in_a_row and soon",
    ),
    ("two within a second", "self._in_a_row >= 2 or (self._in_a_row and soon)", "self._in_a_row >= 2"),
    ("measurements that agree", "return self._agreeing >= SETTLED", "return True"),
    ("a place where it was not seen to go", "self.unseen = True", "pass"),
    ("a place that is agreed on without a gap", "gap <= WINDOW and", ""),
    ("a place that is agreed on for a while", "if steady - known.since < ADOPTED:", "if False:"),
    (
        "stale joint states",
        "self.joints_stale(steady, paused) or self.operator_absent(steady)",
        "self.operator_absent(steady)",
    ),
    (
        "operator",
        "self.joints_stale(steady, paused) or self.operator_absent(steady)",
        "self.joints_stale(steady, paused)",
    ),
    (
        "brakes for a late twist",
        "if waiting is None and self._twists.late(steady)",
        "if False and self._twists.late(steady)",
    ),
    ("the period of twists", "self._motion_time = self._period.times(", "self._period.times("),
    ("brakes while measurements hang", "stop = stop or self._liveness.hanging(", "stop or self._liveness.hanging("),
    (
        "joints brake within a time",
        "np.minimum(self.joint_speed, self.joint_acceleration * self.braking_time)",
        "self.joint_speed",
    ),
    ("rest clear of the faces", "self.limits.outside(self._kinematics.forward(rest), REST_MARGIN)", "0.0"),
    ("time lost by a pause", "self._safety.catch_up(dt)", "dt"),
    (
        "one twist moves for a while only",
        "steady - self._last[1].steady > self._motion_time",
        "False",
    ),
    (
        "a stop while parking",
        "        if stop is not None:\n            self.disarm(",
        "        if False:\n            self.disarm(",
    ),
    ("parking without end", "return steady - self._since > PATIENCE", "return False"),
    ("parking disarms", 'self.disarm("parked")', "pass"),
    ("a park position inside the box", "if park is not None and not", "if False and not"),
    (
        "parking while disarmed",
        'if not self.state.armed:\n            raise Refused(f"the arm is',
        'if False:\n            raise Refused(f"the arm is',
    ),
    ("a stamp from the future", "if age < -FUTURE_LIMIT:", "if False:"),
    (
        "age goes on by the steady clock",
        "return self.age + (time.monotonic() if steady is None else steady) - self.steady",
        "return self.age",
    ),
    ("a jump of the clock", "return jump if abs(jump) > self._limit else 0.0", "return 0.0"),
)


@dataclass(frozen=True)
class Args:
    """What to mutate."""

    only: str = ""
    """Only checks whose name contains this."""


def source_of(code: str) -> Path:
    """Return the file that has a piece of code."""
    having = [file for file in SOURCES for _ in range(file.read_text().count(code))]
    if len(having) != 1:
        raise SystemExit(f"{len(having)} times, not once, in rig_robot/arm and common/message_age.py: {code}")
    return having[0]


def survives(file: Path, old: str, new: str, copy: Path) -> bool:
    """Return whether all tests pass with one check disabled."""
    mutant, source = copy / file.relative_to(ROOT), file.read_text()
    mutant.write_text(source.replace(old, new))
    try:
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        likely = SOONEST.get(file.name, "test_supervisor.py")
        tests = [f"tests/{test}" for test in (likely, *(test for test in TESTS if test != likely))]
        done = subprocess.run([*command, *tests], cwd=copy, capture_output=True, text=True)
    finally:
        mutant.write_text(source)
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
        for name, file, old, new in [(name, source_of(old), old, new) for name, old, new in chosen]:
            alive = survives(file, old, new, copy)
            print(f"{'SURVIVES' if alive else 'found':>8}  {file.name:18} {name}", flush=True)
            survivors += [name] * alive
    print(json.dumps({"mutants": len(chosen), "found": len(chosen) - len(survivors), "survivors": survivors}))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
