"""Environments in which ROS cannot start: each command says in one line which variable to set."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from ros_harness import user_environment

from rig_robot.bringup.ros_environment import log_folder, obstacles

COMMANDS = {
    "tell": ("tell", "arm", "--timeout", "1"),
    "goal": ("goal", "PICTURE", "--timeout", "1"),
    "watch": ("watch",),
    "sim": ("sim", "--goals", "1"),
    "robot": ("robot", "--config", str(Path(__file__).parents[1] / "config" / "robot.yaml")),
}
SICK: dict[str, tuple[dict[str, str | None], str, str]] = {
    "no home": ({"HOME": None, "ROS_LOG_DIR": None}, "HOME is not set", "set ROS_LOG_DIR"),
    "a home that cannot be written": ({"HOME": "/proc", "ROS_LOG_DIR": None}, "/proc/.ros/log", "set ROS_LOG_DIR"),
    "logs on a read-only disk": ({"ROS_LOG_DIR": "/proc/logs"}, "/proc/logs", "set ROS_LOG_DIR"),
    "a file in the place of the logs": ({"ROS_LOG_DIR": None, "ROS_HOME": "/dev/null"}, "/dev/null/log", "ROS_LOG_DIR"),
    "a middleware that is not there": ({"RMW_IMPLEMENTATION": "rmw_no_such_cpp"}, "rmw_no_such_cpp", "unset RMW"),
    "a domain above the highest": ({"ROS_DOMAIN_ID": "233"}, "'233'", "0 to 232"),
    "a domain that is no number": ({"ROS_DOMAIN_ID": "lab"}, "'lab'", "0 to 232"),
    "a domain below zero": ({"ROS_DOMAIN_ID": "-1"}, "'-1'", "0 to 232"),
}


def changed(variables: Mapping[str, str | None]) -> dict[str, str]:
    """Return a user's environment with some variables set, and those that are None removed."""
    environment = {name: value for name, value in user_environment().items() if name not in variables}
    return environment | {name: value for name, value in variables.items() if value is not None}


def run(*command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, timeout=60, env=environment, check=False
    )


@pytest.mark.parametrize(("variables", "found", "cure"), SICK.values(), ids=SICK)
def test_what_keeps_ros_from_starting_is_named_with_its_cure(
    variables: dict[str, str | None], found: str, cure: str
) -> None:
    (obstacle,) = obstacles(changed(variables))
    assert found in obstacle.line() and cure in obstacle.line()
    # whoever only wants to look goes on with this
    assert not list(obstacles(changed(variables | dict(obstacle.instead))))


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize(
    "sickness", ["no home", "a middleware that is not there", "a domain that is no number"], ids=lambda name: name
)
def test_every_command_says_it_in_one_line(command: tuple[str, ...], sickness: str, tmp_path: Path) -> None:
    variables, found, cure = SICK[sickness]
    picture = Path(__file__).parents[1] / "docs" / "pictures" / "values.png"
    arguments = [str(picture) if word == "PICTURE" else word for word in command]
    done = run("rig_robot.cli", *arguments, environment=changed(variables))
    lines = (done.stdout + done.stderr).splitlines()
    assert done.returncode == 2 and len(lines) == 1, lines
    assert found in lines[0] and cure in lines[0]


def test_the_doctor_names_it_and_makes_its_other_checks(tmp_path: Path) -> None:
    variables = {"RMW_IMPLEMENTATION": "rmw_no_such_cpp", "ROS_LOG_DIR": "/proc/logs"}
    done = run("rig_robot.cli", "doctor", "--sim", "--seconds", "0.1", environment=changed(variables))
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    for words in ("rmw_no_such_cpp", "/proc/logs", "checkpoint", "ok   listening"):
        assert words in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"HOME": None, "ROS_LOG_DIR": None}, "set ROS_LOG_DIR"),
        ({"ROS_STATIC_PEERS": "999.1.1.1"}, "999.1.1.1"),
    ],
    ids=["no home", "a peer that is not there"],
)
def test_a_node_by_itself_says_it_in_one_line(variables: dict[str, str | None], words: str) -> None:
    done = run("rig_robot.nodes.recorder", environment=changed(variables))
    assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_a_parameter_file_that_mixes_whole_and_decimal_numbers_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "parameters.yaml"
    file.write_text("/**:\n  ros__parameters:\n    crop: [0, 0.5, 1, 1.0]\n")
    done = run("rig_robot.nodes.camera", "--ros-args", "--params-file", str(file), environment=changed({}))
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert str(file) in done.stderr and "line_num 3" in done.stderr and "all with a point" in done.stderr


def test_a_command_names_a_peer_that_is_not_there() -> None:
    done = run("rig_robot.cli", "tell", "arm", "--timeout", "1", environment=changed({"ROS_STATIC_PEERS": "999.1.1.1"}))
    assert done.returncode == 2 and "999.1.1.1" in done.stderr and "Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ({"HOME": "/home/a"}, "/home/a/.ros/log"),
        ({"HOME": "/home/a", "ROS_HOME": "/b"}, "/b/log"),
        ({"HOME": "/home/a", "ROS_HOME": "/b", "ROS_LOG_DIR": "~/c"}, "/home/a/c"),
    ],
)
def test_logs_go_where_ros_writes_them(given: dict[str, str], folder: str) -> None:
    assert log_folder(given) == Path(folder)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"MUJOCO_GL": "vulcan"}, "MUJOCO_GL is 'vulcan'"),
        ({"MUJOCO_GL": "glfw", "DISPLAY": ":99"}, "cannot draw with glfw"),
    ],
    ids=["an unknown renderer", "a display that does not answer"],
)
def test_what_cannot_draw_says_with_what_and_what_to_do(variables: dict[str, str], words: str, tmp_path: Path) -> None:
    out = str(tmp_path / "buffer")
    done = run("rig_robot.cli", "explore", "--out", out, "--steps", "50", environment=changed(variables))
    assert done.returncode == 2 and words in done.stderr and "unset" in done.stderr
    assert "Traceback" not in done.stderr
