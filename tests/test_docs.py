"""docs/nodes.md names every topic, service and parameter that a node has: the table is what people wire robots by."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "nodes.md").read_text()
SOURCES = [
    *sorted(set((ROOT / "rig_robot" / "nodes").glob("[a-z]*.py")) - {ROOT / "rig_robot/nodes/camera_parameters.py"}),
    ROOT / "rig_robot" / "checkpoint_delivery" / "swap_follower.py",
    ROOT / "rig_robot" / "ros" / "arm_parameters.py",
    ROOT / "rig_robot" / "ros" / "realtime_priority.py",
    *(ROOT / "rig_robot" / "cameras" / f"{name}.py" for name in ("driver", "realsense", "v4l2", "playback")),
    ROOT / "sim" / "robot_node.py",
    ROOT / "sim" / "goals_node.py",
    ROOT / "sim" / "window_node.py",
]
NAMED = (
    r"\bOption\(\s*\"([^\"]+)\"",
    r"\.declare\(\s*\"([^\"]+)\"",
    r"\bbounds?\(\s*\"([^\"]+)\"",
    r"(?:publisher|subscribe|_subscribe_twice|create_subscription)\(\s*\w+,\s*\"([^\"]+)\"",
    r"create_service\(\s*\w+,\s*\"([^\"]+)\"",
)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_every_name_of_a_node_is_in_its_documentation(source: Path) -> None:
    code = source.read_text()
    names = {name for pattern in NAMED for name in re.findall(pattern, code)}
    assert names, "the patterns no longer match how nodes are written"
    missing = sorted(name for name in names if f"`{name}`" not in DOCUMENT)
    assert not missing, f"docs/nodes.md does not name {missing}"
