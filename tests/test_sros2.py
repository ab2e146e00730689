"""The SROS2 policy lets every node do what it does and nothing else: read from the real nodes' graph."""

import contextlib
import dataclasses
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from page_harness import page_port
from ros_harness import Listener
from websockets.sync.client import connect
from websockets.typing import Origin

from rig_robot.bringup.node_spec import COMPOSED, NodeSpec, Parameters
from rig_robot.bringup.options import RobotOptions
from rig_robot.bringup.process_runner import command
from rig_robot.bringup.systems import prepare_practice, robot
from rig_robot.commands.tell import SERVICES
from rig_robot.common.package_files import share

POLICY = share("policies", "rig_robot.policy.xml")
SCHEMA = Path(__file__).parent / "data" / "sros2_policy.xsd"
RULES = (("topics", "publish"), ("topics", "subscribe"), ("services", "reply"), ("services", "request"))

NOT_HERE = {"/robot_description"} | ({"/tf", "/tf_static"} if importlib.util.find_spec("tf2_msgs") is None else set())
"""Topics of the policy that other robots have: with a URDF, and with a full ROS 2"""

ACTION = {"publish": ("feedback", "status"), "reply": ("send_goal", "cancel_goal", "get_result")}
"""Topics and services that an action's server has"""
FOR_ACTION = {"rig/goal/progress", "rig/arm/status"}
"""Topics that the goal node hears for its action alone"""

Rights = dict[str, set[str]]
"""For publish, subscribe, reply and request: full names of topics and services."""


def allowed() -> dict[str, Rights]:
    """What the policy allows each node of the namespace /, by the node's name."""
    rights: dict[str, Rights] = {}
    for profile in ElementTree.parse(POLICY).iter("profile"):
        assert profile.get("ns") == "/"
        name = profile.get("node", "")
        rights[name] = {rule: set() for _, rule in RULES}
        for kind, rule in RULES:
            for names in profile.findall(f"{kind}[@{rule}='ALLOW']"):
                rights[name][rule] |= {full(item.text or "", name) for item in names}
        for item in profile.findall("actions[@execute='ALLOW']/action"):
            if importlib.util.find_spec("rig_robot_interfaces") is None:
                rights[name]["subscribe"] -= {full(topic, name) for topic in FOR_ACTION}
                continue
            for rule, parts in ACTION.items():
                rights[name][rule] |= {f"{full(item.text or '', name)}/_action/{part}" for part in parts}
    return rights


def full(expression: str, node: str) -> str:
    return expression.replace("~", f"/{node}") if expression[0] in "~/" else f"/{expression}"


def used(listener: Listener, node: str, namespace: str = "") -> Rights:
    """What a running node has in the graph, its names as if it ran in the namespace /."""
    graph, place = listener.node, (node, f"/{namespace}")
    queries: dict[str, Callable] = {
        "publish": graph.get_publisher_names_and_types_by_node,
        "subscribe": graph.get_subscriber_names_and_types_by_node,
        "reply": graph.get_service_names_and_types_by_node,
        "request": graph.get_client_names_and_types_by_node,
    }
    with contextlib.suppress(RuntimeError):  # the graph has no such node yet
        return {
            rule: {name.removeprefix(f"/{namespace}" if namespace else "") for name, _ in query(*place)}
            for rule, query in queries.items()
        }
    return {rule: set() for rule in queries}


def union(*rights: Rights) -> Rights:
    return {rule: set().union(*(right[rule] for right in rights)) for _, rule in RULES}


@contextlib.contextmanager
def running(*commands: list[str]) -> Iterator[None]:
    processes = [subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for line in commands]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()


def practising(checkpoint: Path, folder: Path) -> list[NodeSpec]:
    """Start every node that a robot has."""
    config = folder / "robot.yaml"
    config.write_text("arm: {preset: sawyer}\ncamera: {source: topic}")
    options = RobotOptions(config, str(checkpoint), practice=True, data=folder / "data")
    prepare_practice(options)
    receiver = [spec for spec in robot(dataclasses.replace(options, train=False)) if spec.name == "receiver"]
    return robot(options) + receiver


def check(listener: Listener, node: str, seen: Callable[[], Rights]) -> None:
    """Wait until a node's topics and services are those that the policy allows; fail with the differences."""
    wanted = allowed()[node]
    wanted["publish"] -= NOT_HERE
    with contextlib.suppress(AssertionError):
        listener.until(lambda: seen() == wanted, f"the graph of {node}", 15.0)
    for (rule, has), may in zip(seen().items(), wanted.values(), strict=True):
        assert has <= may, f"{node} would be refused to {rule} {has - may}: add it to {POLICY.name}"
        assert may <= has, f"{node} never does {rule} {may - has}: take it out of {POLICY.name}"


def test_what_the_policy_allows_is_what_the_nodes_do(checkpoint: Path, listener: Listener, tmp_path: Path) -> None:
    specs = practising(checkpoint, tmp_path)
    cv2.imwrite(str(tmp_path / "frame.png"), np.full((480, 640, 3), 128, np.uint8))

    def camera(namespace: str, **source: object) -> NodeSpec:
        parameters: Parameters = {"checkpoint": str(checkpoint), **source}
        return NodeSpec("camera", "rig_robot.nodes.camera", parameters, namespace)

    # What the camera node needs depends on its source: the policy allows all of it.
    compressed = camera("compressed", source="topic", transport="compressed")
    owner = camera("owner", source="file", path=str(tmp_path), loop=True, pose=[0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0])
    with running(*(command(spec, {}) for spec in [*specs, compressed, owner])):
        listener.set_parameter("policy", "mode", "explore")  # only then it wants to know where the tool is
        for spec in specs:
            if spec.name not in ("camera", "console"):
                check(listener, spec.name, lambda name=spec.name: used(listener, name))
        places = ("", "compressed", "owner")
        check(listener, "camera", lambda: union(*(used(listener, "camera", place) for place in places)))
        port = page_port(listener)
        with connect(f"ws://127.0.0.1:{port}/pictures", origin=Origin(f"http://127.0.0.1:{port}")):  # somebody looks
            check(listener, "console", lambda: used(listener, "console"))


def test_what_the_policy_allows_a_person_is_what_rig_does(listener: Listener, tmp_path: Path) -> None:
    picture = tmp_path / "goal.png"
    cv2.imwrite(str(picture), np.full((48, 48, 3), 128, np.uint8))
    rig = [sys.executable, "-m", "rig_robot.cli"]
    nobody = ["--namespace", "nobody"]  # they wait for a robot that is not there
    words = [["goal", str(picture), "--wait", "--timeout", "60"], ["watch"], ["tell", "stop", "--timeout", "60"]]
    words.append(["page", "--timeout", "60"])
    captures = [*rig, "goal", "--capture", "--timeout", "60", "--namespace", "captures"]
    with running(*([*rig, *word, *nobody] for word in words), captures):
        places = ("nobody", "captures")
        check(listener, "rig_watch_command", lambda: used(listener, "rig_watch_command", "nobody"))
        check(listener, "rig_page_command", lambda: used(listener, "rig_page_command", "nobody"))
        check(
            listener, "rig_goal_command", lambda: union(*(used(listener, "rig_goal_command", each) for each in places))
        )
        wanted = allowed()["rig_tell_command"]
        one = wanted | {"request": {"/arm/estop"}}
        listener.until(lambda: used(listener, "rig_tell_command", "nobody") == one, "rig tell stop asks for /arm/estop")
    # The other words stand in the table that `rig tell` goes by; a mode is a parameter of the policy node.
    assert wanted["request"] == {f"/{service}" for _, service, _ in SERVICES.values()} | {"/policy/set_parameters"}


def test_the_policy_is_valid_for_sros2() -> None:
    etree = pytest.importorskip("lxml.etree")
    policy = etree.parse(str(POLICY))
    etree.XMLSchema(etree.parse(str(SCHEMA))).assertValid(policy)
    # generate_artifacts of sros2 0.13 takes everything below `enclaves` for an enclave, comments too.
    assert all(isinstance(child.tag, str) for child in policy.find("enclaves"))


def test_each_node_has_an_enclave_of_its_own_by_the_name_that_bringup_gives_it(
    checkpoint: Path, tmp_path: Path
) -> None:
    enclaves = {
        enclave.get("path"): [profile.get("node") for profile in enclave.iter("profile")]
        for enclave in ElementTree.parse(POLICY).iter("enclave")
    }
    assert enclaves.pop("/rig/composed") == list(COMPOSED)
    for spec in practising(checkpoint, tmp_path):
        asked, path = spec.security({"ROS_SECURITY_ENABLE": "true"})
        assert asked == "--enclave" and enclaves.pop(path) == [spec.name]
        assert spec.security({}) == spec.security({"ROS_SECURITY_ENABLE": "false"}) == []
    assert set(enclaves) == {"/rig/operator"}


def test_the_composed_process_may_do_what_its_nodes_may_and_nothing_else() -> None:
    profiles: dict[str, list[str]] = {}
    for profile in ElementTree.parse(POLICY).iter("profile"):
        profiles.setdefault(profile.get("node", ""), []).append(ElementTree.canonicalize(ElementTree.tostring(profile)))
    assert {name for name, given in profiles.items() if len(given) == 2} == set(COMPOSED)
    for name in COMPOSED:
        own, shared = (re.sub(r"\s+", " ", text) for text in profiles[name])
        assert own == shared, f"what is allowed to {name} differs between its own enclave and /rig/composed"


def test_only_the_arm_may_move_the_arm_and_only_a_person_may_tell_it_to() -> None:
    rights = allowed()

    def who(rule: str, name: str) -> set[str]:
        return {node for node, right in rights.items() if name in right[rule]}

    assert who("publish", "/joint_trajectory_controller/joint_trajectory") == {"arm"}
    assert who("publish", "/rig/policy/twist") == {"policy", "console"}  # jogging, through the arm's filter
    assert who("publish", "/rig/operator/heartbeat") == {"rig_watch_command", "console"}
    for service in ("/arm/set_armed", "/arm/park", "/arm/reset_estop", "/policy/set_parameters"):
        assert who("request", service) == {"rig_tell_command", "console"}
    assert not any("*" in name for right in rights.values() for names in right.values() for name in names)
    assert who("subscribe", "/clock") == who("publish", "/clock") == set()


def test_where_security_is_asked_for_and_cannot_be_had_no_node_starts(checkpoint: Path, tmp_path: Path) -> None:
    spec = NodeSpec("goal", "rig_robot.nodes.goal", {"checkpoint": str(checkpoint)})
    secure = {"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce", "ROS_SECURITY_KEYSTORE": str(tmp_path)}
    ended = subprocess.run(
        command(spec, secure), env=os.environ | secure, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode != 0 and "SECURITY ERROR" in ended.stderr
