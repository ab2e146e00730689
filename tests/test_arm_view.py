"""The arm is shown to RViz and Foxglove as it is, and showing it costs control nothing."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from ros_harness import Listener, node_process
from sensor_msgs.msg import JointState
from std_msgs.msg import Header, String
from visualization_msgs.msg import Marker, MarkerArray

from rig_robot.arm.kinematics import Kinematics
from rig_robot.bringup.arm_presets import arm_parameters
from rig_robot.bringup.parameter_files import read_parameters
from rig_robot.bringup.systems import NODES
from rig_robot.common.package_files import locate, share
from rig_robot.messages.markers import box, path, target
from rig_robot.messages.transforms import CAMERA_FRAME, transform
from rig_robot.nodes.arm_view import OTHERS, is_urdf, links
from rig_robot.ros.qos import COMMAND, LATCHED
from rig_robot.ros.transforms import available
from rig_sim.world import VIEWS, World, optical_pose

UR5E = arm_parameters({"preset": "ur5e"}, Path("robot.yaml"))
SAWYER = read_parameters(share("config", "sim.yaml"), NODES)["arm"]
HEADER = Header(frame_id="base")


def rotated(quaternion: Any, vector: Any) -> np.ndarray:
    w, axis = quaternion.w, np.array([quaternion.x, quaternion.y, quaternion.z])
    vector = np.asarray(vector, float)
    return vector + 2 * np.cross(axis, np.cross(axis, vector) + w * vector)


def test_a_transform_has_the_pose_of_the_child_in_the_parent() -> None:
    quarter = np.sqrt(0.5)
    message = transform("base", "tool", Time(sec=3), [1, 2, 3], [quarter, 0, 0, quarter])
    assert (message.header.frame_id, message.child_frame_id, message.header.stamp.sec) == ("base", "tool", 3)
    place = message.transform.translation
    assert (place.x, place.y, place.z) == (1.0, 2.0, 3.0)
    assert rotated(message.transform.rotation, [1, 0, 0]) == pytest.approx([0, 1, 0])  # w comes first


def test_the_box_has_twelve_edges_along_the_axes_between_its_corners() -> None:
    low, high = np.array([0.1, -0.2, 0.3]), np.array([0.4, 0.2, 0.5])
    marker = box(HEADER, low, high)
    points = np.array([[point.x, point.y, point.z] for point in marker.points]).reshape(12, 2, 3)
    assert (points.min(axis=(0, 1)) == low).all() and (points.max(axis=(0, 1)) == high).all()
    assert ((points[:, 0] != points[:, 1]).sum(axis=1) == 1).all() and len(np.unique(points, axis=0)) == 12


def test_what_there_is_not_is_removed_and_not_left_standing() -> None:
    assert target(HEADER, None).action == Marker.DELETE and target(HEADER, [0, 0, 1]).pose.position.z == 1.0
    assert path(HEADER, [np.zeros(3)]).action == Marker.DELETE
    assert len(path(HEADER, [np.zeros(3), np.ones(3)]).points) == 2
    names = {(marker.ns, marker.id) for marker in (box(HEADER, np.zeros(3), np.ones(3)), target(HEADER, None))}
    assert len(names) == 2, "a marker that shares another's name replaces it"


@pytest.mark.parametrize(
    ("text", "urdf"),
    [
        ("<robot name='a'/>", True),
        ("<?xml version='1.0'?>\n<!-- <mujoco> -->\n<robot/>", True),
        ("<mujoco><!-- <robot/> --></mujoco>", False),
        ("", False),
    ],
)
def test_an_mjcf_is_not_taken_for_a_urdf(text: str, urdf: bool) -> None:
    assert is_urdf(text) is urdf


def test_links_are_those_of_the_description() -> None:
    found = links(locate(UR5E["description"]).read_text())
    assert {"base_link", "tool0"} <= found and "shoulder_pan_joint" not in found


@pytest.mark.parametrize("name", VIEWS.values())
def test_the_simulated_camera_looks_along_its_optical_frames_z_at_the_workspace(name: str) -> None:
    model = World().model
    position, turn = optical_pose(model, name)
    message = transform("base", CAMERA_FRAME, Time(), position, turn)
    ahead, right = (rotated(message.transform.rotation, axis) for axis in ([0, 0, 1], [1, 0, 0]))
    to_centre = np.array([0.6, 0.0, 0.2]) - position
    assert ahead @ to_centre / np.linalg.norm(to_centre) > 0.95
    assert abs(right[2]) < 0.2, "the picture's horizontal is level"
    down = rotated(message.transform.rotation, [0, 1, 0])
    assert down[2] < -0.3


def bench(listener: Listener, parameters: dict[str, Any], rest: Any) -> Any:
    """Publish joint states at rest whenever the listener spins."""
    states = listener.node.create_publisher(JointState, "joint_states", 5)

    def publish() -> None:
        message = JointState(name=parameters["joints"], position=[float(angle) for angle in rest])
        message.header.stamp = listener.node.get_clock().now().to_msg()
        states.publish(message)

    return listener.node.create_timer(0.02, publish)


def test_the_arm_node_shows_its_box_and_says_what_the_robot_looks_like(listener: Listener) -> None:
    markers = listener.hear(MarkerArray, "rig/markers", COMMAND)
    descriptions = listener.hear(String, "robot_description", LATCHED)
    health = listener.hear(DiagnosticArray, "/diagnostics", 10)
    bench(listener, UR5E, UR5E["rest"])
    with node_process("rig_robot.nodes.arm", UR5E) as arm:
        listener.until(lambda: markers, "markers")
        listener.until(lambda: descriptions, "a description")
        listener.until(lambda: health, "diagnostics")
        assert descriptions[0].data == locate(UR5E["description"]).read_text()
        shown = {marker.ns: marker for marker in markers[-1].markers}
        assert set(shown) == {"workspace", "target", "path"}
        assert shown["workspace"].header.frame_id == UR5E["base_frame"]
        corners = [(point.x, point.y, point.z) for point in shown["workspace"].points]
        assert min(corners) == pytest.approx(UR5E["workspace_low"])
        assert shown["target"].action == Marker.DELETE, "a disarmed arm is sent nowhere"
        assert {status.hardware_id for message in health for status in message.status} == {"ur5e"}
        assert ("tf2_msgs is not installed" in arm.output()) is not available()


def test_a_description_that_another_node_publishes_is_left_to_it(listener: Listener) -> None:
    others = listener.node.create_publisher(String, "robot_description", LATCHED)
    others.publish(String(data="<robot name='theirs'/>"))
    heard = listener.hear(String, "robot_description", LATCHED)
    bench(listener, UR5E, UR5E["rest"])
    with node_process("rig_robot.nodes.arm", UR5E) as arm:
        listener.until(lambda: "robot_description is published by another node" in arm.output(), "the node says so")
        listener.spin(0.5)
    assert [message.data for message in heard] == ["<robot name='theirs'/>"]


@pytest.mark.skipif(not available(), reason="tf2_msgs is not installed here (it comes with a full ROS 2)")
def test_the_tools_frame_is_where_the_kinematics_put_the_tool(listener: Listener) -> None:
    from tf2_msgs.msg import TFMessage

    heard = listener.hear(TFMessage, "/tf", 10)
    bench(listener, SAWYER, SAWYER["rest"])
    with node_process("rig_robot.nodes.arm", SAWYER):
        listener.until(lambda: len(heard) > 5, "transforms")
    arm = Kinematics(locate(SAWYER["description"]), SAWYER["joints"], "tool", base_frame="base")
    place = heard[-1].transforms[0].transform.translation
    assert [place.x, place.y, place.z] == pytest.approx(arm.forward(SAWYER["rest"]))
    stamps = [(m.transforms[0].header.stamp.sec, m.transforms[0].header.stamp.nanosec) for m in heard]
    assert stamps == sorted(set(stamps)), "tf2 complains of a stamp that comes twice"


def test_an_mjcf_is_not_published_as_a_robot_description(listener: Listener) -> None:
    heard = listener.hear(String, "robot_description", LATCHED)
    markers = listener.hear(MarkerArray, "rig/markers", COMMAND)
    bench(listener, SAWYER, SAWYER["rest"])
    with node_process("rig_robot.nodes.arm", SAWYER):
        listener.until(lambda: markers, "markers")
        listener.spin(OTHERS + 1.0)
    assert not heard and listener.node.count_publishers("robot_description") == 0


# What is shown of it

TOPICS = {item.text for item in ElementTree.parse(share("policies", "rig_robot.policy.xml")).iter("topic") if item.text}
"""Topics that the SROS2 policy names, which another test compares with the running nodes"""


def test_the_rviz_configuration_shows_topics_that_there_are_with_a_qos_that_fits() -> None:
    said = yaml.safe_load(share("config", "rig.rviz").read_text())["Visualization Manager"]
    assert said["Global Options"]["Fixed Frame"] == SAWYER["base_frame"]
    displays = said["Displays"]
    known = {"Grid", "TF", "RobotModel", "MarkerArray", "Image"}
    assert {display["Class"].removeprefix("rviz_default_plugins/") for display in displays} == known
    topics = [display.get("Topic") or display.get("Description Topic") for display in displays]
    named = {topic["Value"]: topic for topic in topics if topic}
    assert set(named) <= TOPICS and {"rig/markers", "robot_description", "rig/goal/image"} <= set(named)
    streams = {"rig/observation/image", "camera/image_raw"}
    for name, topic in named.items():
        assert topic["Reliability Policy"] == ("Best Effort" if name in streams else "Reliable"), name
        latched = name in ("robot_description", "rig/goal/image")
        assert topic["Durability Policy"] == ("Transient Local" if latched else "Volatile"), name


def test_the_foxglove_layout_shows_topics_that_there_are_in_panels_that_there_are() -> None:
    said = json.loads(share("config", "foxglove.json").read_text())
    assert set(said) == {"configById", "globalVariables", "userNodes", "playbackConfig", "layout"}

    def leaves(part: Any) -> list[str]:
        if isinstance(part, str):
            return [part]
        assert part["direction"] in ("row", "column") and 0 < part.get("splitPercentage", 50) < 100
        return leaves(part["first"]) + leaves(part["second"])

    assert sorted(leaves(said["layout"])) == sorted(said["configById"]), "each panel stands in the layout once"
    known = {"3D", "Image", "Plot", "RawMessages", "DiagnosticSummary"}
    assert {panel.partition("!")[0] for panel in said["configById"]} == known
    text = json.dumps(said["configById"])
    for named in re.findall(r'"/((?:rig|camera)/[\w/]+)', text):
        assert named in TOPICS, named
    fields = {"pose.position.x", "pose.position.y", "pose.position.z"} | {f"twist.linear.{axis}" for axis in "xyz"}
    plotted = {found.split(".", 1)[1] for found in re.findall(r'"value": "([^"]+)"', text)}
    assert plotted == fields


@pytest.mark.parametrize("namespace", ["", "left/"])
def test_the_aggregator_puts_every_node_that_there_is_in_one_group(namespace: str) -> None:
    said = yaml.safe_load(share("config", "diagnostics.yaml").read_text())["analyzers"]["ros__parameters"]
    groups = {name: group for name, group in said.items() if isinstance(group, dict)}
    assert all(group["type"] == "diagnostic_aggregator/GenericAnalyzer" for group in groups.values())
    for node in set(NODES) - {name for name in NODES if name.startswith("sim_")}:
        matching = [name for name, group in groups.items() if re.fullmatch(group["regex"][0], namespace + node)]
        assert len(matching) == 1, node
