"""Reads parameter files: what each node of a system is told beyond its defaults.

A file has a section for each node, in our own form or in that of ROS 2, which is also what `ros2 param dump` writes;
one file may mix them:

    arm: {preset: sawyer}                        # the system's node of this name, whatever the namespace
    /**: {ros__parameters: {use_sim_time: true}} # every node that takes the parameter
    /left/arm: {ros__parameters: {tool_speed: 0.1}}

Sections apply in the order in which they stand, so of two that say the same of a node the last one counts, as in ROS 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig_robot.bringup.arm_presets import anchored
from rig_robot.bringup.node_spec import BringupError, Parameters
from rig_robot.bringup.parameters import PARAMETERS, Keys
from rig_robot.bringup.task_config import PUSH, SECTION
from rig_robot.common.task_names import TaskName
from rig_robot.common.yaml_reader import Document, Place, YamlError, read_yaml
from rig_robot.common.yaml_schema import check_keys, mapping, name, text, unknown

ROS = "ros__parameters"
"""Key below which ROS 2 has a node's parameters"""
QOS = "qos_overrides."
"""Beginning of the names of QoS overrides, which ROS 2 checks itself"""


def read_parameters(
    file: Path, nodes: tuple[str, ...], task: TaskName = "reach", namespace: str = ""
) -> dict[str, Parameters]:
    """Read a parameter file: for each node its parameters, for pushing with those of the section `push`.

    Args:
        file: The file.
        nodes: Names of the nodes that it may speak of.
        task: What the system does.
        namespace: The nodes' ROS namespace, which sections such as `/left/arm` are compared with.

    Raises:
        BringupError: If it is no such file, or names a node or parameter that there is not, or gives it what it cannot
            be; the text names file, line, key and value, and what would be right.
    """
    try:
        document = read_yaml(file, f"configuration {file}")
        reader = _Reader(document, nodes, namespace.strip("/"))
        content = mapping(document, (), document.value)
        sections = reader.sections((), content)
        others = reader.sections((PUSH,), mapping(document, (PUSH,), content.get(PUSH, {})))
    except YamlError as error:
        raise BringupError(str(error)) from None
    for node, parameters in others.items() if task == "push" else ():
        sections[node] = sections.get(node, {}) | parameters
    if "arm" in sections:
        sections["arm"] = anchored(sections["arm"], file)
    return sections


def read_all(
    files: Sequence[Path], nodes: tuple[str, ...], task: TaskName = "reach", namespace: str = ""
) -> dict[str, Parameters]:
    """Read several parameter files; what a later one says of a parameter counts.

    Raises:
        BringupError: As `read_parameters` does.
    """
    merged: dict[str, Parameters] = {}
    for file in files:
        for node, parameters in read_parameters(file, nodes, task, namespace).items():
            merged[node] = merged.get(node, {}) | parameters
    return merged


@dataclass(frozen=True)
class _Section:
    """What a file says in ROS 2's form.

    Attributes:
        at: Where the parameters stand in it.
        pattern: The name, perhaps with `*` (one part) and `**` (any number of them): `/left/arm`, `/**`.
        parameters: The parameters, those of nested mappings with dots in their names.
    """

    at: Place
    pattern: str
    parameters: Parameters


@dataclass(frozen=True)
class _Reader:
    document: Document
    nodes: tuple[str, ...]
    namespace: str

    def sections(self, at: Place, content: dict[str, Any]) -> dict[str, Parameters]:
        """Return the parameters of each node of a part of a file; at: the keys that lead to the part."""
        said: dict[str, Parameters] = {}
        found: set[str] = set()
        elsewhere: list[_Section] = []
        for key, value in content.items():
            if key == SECTION or (not at and key == PUSH):
                continue
            if not _is_of_ros(key, value):
                self._check_name(at, key, key)
                found.add(key)
                keys = _keys(key)
                said[key] = said.get(key, {}) | self._checked((*at, key), value, keys, f"parameter of {key}")
                continue
            for section in self._of_ros((*at, key), key, value):
                if not (matching := self._matching(section.pattern)):
                    elsewhere.append(section)
                    continue
                found.add(_last(section.pattern))
                for node, parameters in self._shared_out(section, matching).items():
                    said[node] = said.get(node, {}) | parameters
        for section in elsewhere:
            # A file may speak of several robots, but a section that no robot goes by is a mistake.
            if _last(section.pattern) not in found:
                raise self._no_match(section)
        return said

    def _of_ros(self, at: Place, pattern: str, value: Any) -> Iterator[_Section]:
        """Yield the sections below a key; namespaces may be nested."""
        if not isinstance(value, dict) or not value:
            raise self.document.error(at, f"{name(at)} has no {ROS}: put the parameters below that key")
        for key, inner in value.items():
            if key == ROS:
                yield _Section((*at, ROS), pattern, _flat(mapping(self.document, (*at, ROS), inner)))
            elif isinstance(inner, dict):
                yield from self._of_ros((*at, key), f"{pattern}/{key}", inner)
            else:
                wrong = f"{name((*at, key))} stands beside or without {ROS}: put it below that key"
                raise self.document.error((*at, key), wrong)

    def _matching(self, pattern: str) -> list[str]:
        """Return the nodes that a name means, which ROS 2 compares with full names."""
        if "/" not in pattern and "*" not in pattern:  # as in our own form: the namespace is the system's
            self._check_name((), pattern, pattern)
            return [pattern]
        wanted = "".join(_PATTERNS.get(part, "/" + re.escape(part)) for part in pattern.strip("/").split("/"))
        root = f"/{self.namespace}/" if self.namespace else "/"
        return [node for node in self.nodes if re.fullmatch(wanted, root + node)]

    def _shared_out(self, section: _Section, matching: list[str]) -> dict[str, Parameters]:
        """Return what a section says to each node that it means: to several nodes, what each of them takes."""
        if len(matching) == 1:
            [node] = matching
            checked = self._checked(section.at, section.parameters, _keys(node), f"parameter of {node}")
            return {node: checked}
        every: Keys = {key: kind for node in matching for key, kind in _keys(node).items()}
        said: dict[str, Parameters] = {}
        for node in matching:
            taken = {
                key: value for key, value in section.parameters.items() if key in _keys(node) or key.startswith(QOS)
            }
            said[node] = self._checked(section.at, taken, _keys(node), f"parameter of {node}")
        for key in section.parameters:
            if key not in every and not key.startswith(QOS):
                raise unknown(self.document, section.at, key, sorted(every), f"parameter of {', '.join(matching)}")
        return said

    def _checked(self, at: Place, value: Any, keys: Keys, what: str) -> Parameters:
        """Return parameters with their values as the kinds that the node takes."""
        given = mapping(self.document, at, value)
        qos = {key: value for key, value in given.items() if key.startswith(QOS)}
        rest = {key: value for key, value in given.items() if key not in qos}
        return check_keys(self.document, at, rest, keys, what) | qos

    def _check_name(self, at: Place, key: str, node: str) -> None:
        if node in self.nodes:
            return
        if takers := [taker for taker in self.nodes if node in PARAMETERS[taker]]:
            wrong = f"{node} is no node but a parameter of {', '.join(takers)}: put it below a node"
            raise self.document.error((*at, key), wrong)
        raise unknown(self.document, at, key, self.nodes, "node")

    def _no_match(self, section: _Section) -> YamlError:
        """Return the error that a section means no node of this system."""
        last, place = _last(section.pattern), section.at[:-1]
        if "*" not in last and last not in self.nodes:
            return unknown(self.document, place[:-1], str(place[-1]), self.nodes, "node")
        here = f"/{self.namespace}" if self.namespace else "/"
        right = f"{here.rstrip('/')}/{last}" + ("" if "*" in last else f", or {last}, which is it in any namespace")
        return self.document.error(
            place, f"{section.pattern} is no node of this system, whose namespace is {here}: say {right}"
        )


_PATTERNS = {"**": r"(?:/\w+)*", "*": r"/\w+"}


def _keys(node: str) -> Keys:
    return PARAMETERS[node] | ({"preset": text()} if node == "arm" else {})


def _last(pattern: str) -> str:
    return pattern.rpartition("/")[2]


def _is_of_ros(key: str, value: Any) -> bool:
    """Return whether a section is in ROS 2's form."""
    return key.startswith("/") or "*" in key or _holds_ros(value)


def _holds_ros(value: Any) -> bool:
    return isinstance(value, dict) and (ROS in value or any(map(_holds_ros, value.values())))


def _flat(content: dict[str, Any]) -> Parameters:
    """Return parameters whose names have dots where mappings are nested, as ROS 2 reads them."""
    flat: Parameters = {}
    for key, value in content.items():
        if isinstance(value, dict) and value:
            flat |= {f"{key}.{inner}": item for inner, item in _flat(value).items()}
        else:
            flat[key] = value
    return flat
