"""List every parameter of every node in docs/parameters.md, for whoever changes one.

    python docs/list_parameters.py

Reads the calls that declare them with `ast`, so that no node has to run. `tests/test_configuration.py` fails where the
page is not what the nodes declare.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rclpy.parameter import Parameter

from rig_robot.cameras.registry import options as camera_options

PAGE = Path(__file__).parent / "parameters.md"
HEAD = """# Parameters

For those who look a parameter up: all of them, node by node, as the nodes declare them.

`ros2 param describe NODE NAME` says the same of a running node; [nodes.md](nodes.md) says what belongs together. They
stand in the configuration below the node's name, or are given to a node that is started by itself as `-p NAME:=VALUE`.
Every node also takes `outlive_starter` (false): go on when the process that started it dies. After a change,
`python docs/list_parameters.py` writes this page anew.
"""

SHARED = "rig_robot.ros.node"
MODULES: dict[str, tuple[str, ...]] = {
    "arm": (
        "rig_robot.nodes.arm",
        "rig_robot.nodes.arm_view",
        "rig_robot.ros.arm_parameters",
        "rig_robot.ros.lifecycle",
        "rig_robot.ros.realtime_priority",
    ),
    "camera": (
        "rig_robot.nodes.camera",
        "rig_robot.nodes.camera_mount",
        "rig_robot.ros.lifecycle",
        "rig_robot.ros.realtime_priority",
    ),
    "encoder": ("rig_robot.nodes.encoder", "rig_robot.ros.realtime_priority"),
    "goal": ("rig_robot.nodes.goal",),
    "policy": (
        "rig_robot.nodes.policy",
        "rig_robot.nodes.policy_actions",
        "rig_robot.nodes.policy_progress",
        "rig_robot.ros.realtime_priority",
    ),
    "recorder": ("rig_robot.nodes.recorder", "rig_robot.ros.lifecycle"),
    "trainer": ("rig_robot.nodes.trainer", "rig_robot.nodes.trainer_episodes"),
    "receiver": ("rig_robot.nodes.checkpoint_receiver",),
    "console": ("rig_robot.nodes.console",),
    "sim": ("rig_sim.robot_node",),
    "sim_goals": ("rig_sim.goals_node",),
    "sim_push_goals": ("rig_sim.push_goals_node", "rig_sim.goals_node"),
    "sim_practice": ("rig_sim.practice_node", "rig_sim.goals_node"),
    "sim_window": ("rig_sim.window_node",),
}
"""The modules in which each node's parameters are declared, beside those of every node in `SHARED`"""
COMPUTED: dict[str, Any] = {
    "crop": [0.0],
    "size": 1,
    "start_position": [0.0],
    "checkpoints": "",
    "work": "",
    "table_height": 0.0,
}
"""Defaults that are computed, or whose type is in a variable: something of their type"""
TYPES: dict[Parameter.Type, tuple[type, bool]] = {
    Parameter.Type.BOOL: (bool, False),
    Parameter.Type.INTEGER: (int, False),
    Parameter.Type.DOUBLE: (float, False),
    Parameter.Type.STRING: (str, False),
    Parameter.Type.DOUBLE_ARRAY: (float, True),
    Parameter.Type.STRING_ARRAY: (str, True),
}
"""For each type of ROS 2 that of its values, and whether it is a list of them"""
_NAMES = {bool: "truth", int: "whole number", float: "number", str: "text"}


class Declared(NamedTuple):
    """A parameter as a node declares it."""

    name: str
    kind: type
    many: bool
    """whether it is a list"""
    low: Any
    high: Any
    choices: tuple[str, ...]
    default: Any
    """None: must be given, or is computed"""
    text: str


def declared(module: str) -> Iterator[Declared]:
    """Return the parameters that a module declares."""
    loaded = importlib.import_module(module)
    assert loaded.__file__ is not None
    tree = ast.parse(Path(loaded.__file__).read_text())
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and len(call.args) >= 2 and isinstance(call.args[0], ast.Constant)):
            continue
        called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if called not in ("declare", "bound", "bounds") or not isinstance(call.args[0].value, str):
            continue

        def value(node: ast.expr) -> Any:
            return eval(compile(ast.Expression(node), module, "eval"), vars(loaded))

        name, more = call.args[0].value, {keyword.arg: keyword.value for keyword in call.keywords}
        default: Any = {"bound": Parameter.Type.DOUBLE, "bounds": Parameter.Type.DOUBLE_ARRAY}.get(called)
        if default is None:
            default = COMPUTED[name] if name in COMPUTED else value(call.args[1])
        kind = default if isinstance(default, Parameter.Type) else Parameter(name, value=default).type_
        low, high = (value(more[end]) if end in more else None for end in ("low", "high"))
        choices = tuple(value(more["choices"])) if "choices" in more else ()
        given = None if name in COMPUTED or isinstance(default, Parameter.Type) else default
        yield Declared(name, *TYPES[kind], low, high, choices, given, value(_said(tree, call.args[-1])))


def _said(tree: ast.Module, node: ast.expr) -> ast.expr:
    """Return the expression that a name was last given before it is used; anything else as it is."""
    if not isinstance(node, ast.Name):
        return node
    given = [
        each
        for each in ast.walk(tree)
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == node.id and each.lineno < node.lineno
    ]
    return max(given, key=lambda each: each.lineno).value if given else node


def of_node(node: str) -> dict[str, Declared]:
    """Return a node's parameters by name, without those of every node."""
    found = {parameter.name: parameter for module in MODULES[node] for parameter in declared(module)}
    if node == "camera":
        for option in camera_options().values():
            kind = TYPES[Parameter(option.name, value=option.default).type_]
            found[option.name] = Declared(option.name, *kind, option.low, option.high, (), option.default, option.text)
    return found


def page() -> str:
    """Return the text of docs/parameters.md."""
    return HEAD + "".join(_section(node) for node in MODULES if of_node(node))


def _section(node: str) -> str:
    rows = "".join(
        f"| `{each.name}` | {_kind(each)} | {_default(each)} | {each.text} |\n"
        for each in sorted(of_node(node).values(), key=lambda each: each.name)
    )
    return f"\n## {node}\n\n| name | type | default | meaning |\n|---|---|---|---|\n{rows}"


def _kind(parameter: Declared) -> str:
    kind = f"list of {_NAMES[parameter.kind]}s" if parameter.many else _NAMES[parameter.kind]
    if parameter.choices:
        return f"{kind}: {', '.join(parameter.choices)}"
    return f"{kind}, {parameter.low:g} to {parameter.high:g}" if parameter.low is not None else kind


def _default(parameter: Declared) -> str:
    value = parameter.default
    if value is None:
        return "computed" if parameter.name in ("crop", "size", "start_position") else "must be given"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else "none" if value == "" else str(value)


def main() -> None:
    """Write the page."""
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
