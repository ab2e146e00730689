"""Checks the running nodes: which run, and what they say of their health."""

from __future__ import annotations

from rig_robot.doctor.check_result import Finding, fail, ok, warn
from rig_robot.doctor.examined_system import ExaminedSystem
from rig_robot.doctor.heard import full_name

_WARN, _ERROR = 1, 2


def nodes(system: ExaminedSystem) -> Finding:
    """Check whether the system's nodes run and report no problem."""
    name = "nodes"
    heard = system.heard
    wanted = [full_name(node.name, node.namespace) for node in system.nodes]
    missing = [node for node in wanted if node not in heard.nodes]
    if len(missing) == len(wanted):
        return warn(name, f"not running: none of {', '.join(wanted)}", f"start {system.start}")
    if missing:
        return fail(
            name, f"{', '.join(missing)} not there", "see what they said when they ended: the runner starts them again"
        )
    # A disarmed arm reports a warning, and should be disarmed now.
    ill = {node: heard.health[node] for node in wanted if node in heard.health and heard.health[node][0] >= _WARN}
    arm = full_name("arm", system.options.namespace)
    if ill.get(arm, (0, ""))[0] == _WARN:
        del ill[arm]
    told = f"; arm: {heard.health[arm][1]}" if arm in heard.health else ""
    if ill:
        report = fail if any(level >= _ERROR for level, _ in ill.values()) else warn
        text = "; ".join(f"{node}: {words}" for node, (_, words) in ill.items())
        return report(name, text, "ros2 topic echo /diagnostics has the figures")
    silent = [node for node in wanted if node not in heard.health]
    if silent:
        return warn(name, f"{', '.join(silent)} said nothing of its health", "listen longer: --seconds 5; or it hangs")
    return ok(name, f"all {len(wanted)} run and are well{told}")
