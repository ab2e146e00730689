"""The command line: what a person types is done, or refused in one line that says what would be right."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from ros_harness import Listener, node_process
from sensor_msgs.msg import CompressedImage, Image

from rig_robot import cli
from rig_robot.bringup.options import SHIPPED_CHECKPOINT
from rig_robot.commands.options import EXAMPLES, GoalOptions
from rig_robot.common.grouped_options import Groups
from rig_robot.learning import arguments as reach_arguments
from rig_robot.learning import push_arguments
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.methods import preset
from rig_robot.learning.push_arguments import PushArgs
from rig_robot.messages.diagnostics import OK, diagnostic
from rig_robot.ros.qos import COMMAND, LATCHED


def rig(*arguments: object, timeout: float = 60.0, columns: int = 200) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rig_robot.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=os.environ | {"COLUMNS": str(columns)},
        check=False,
    )


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "goal.png"
    cv2.imwrite(str(file), np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8))
    return file


def test_a_picture_becomes_the_goal(checkpoint: Path, picture: Path, listener: Listener) -> None:
    goals = listener.hear(Image, "left/rig/goal/image", LATCHED)
    with node_process("rig_robot.nodes.goal", {"checkpoint": str(checkpoint)}, {"__ns": "/left"}):
        done = rig("goal", picture, "--namespace", "left", "--timeout", 30)
        listener.until(lambda: goals, "the goal on rig/goal/image")
    assert done.returncode == 0 and "new goal" in done.stdout
    assert goals[-1].width == goals[-1].height > 0


def test_what_is_said_of_other_goals_meanwhile_is_not_taken_for_the_answer(
    checkpoint: Path, picture: Path, listener: Listener
) -> None:
    others = listener.node.create_publisher(DiagnosticStatus, "rig/goal/status", LATCHED)
    with node_process("rig_robot.nodes.goal", {"checkpoint": str(checkpoint)}):
        listener.until_heard("rig/goal/image")
        listener.wait_until_discovered_by("goal")
        command = [sys.executable, "-m", "rig_robot.cli", "goal", str(picture), "--timeout", "30"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
            while running.poll() is None:
                others.publish(diagnostic("goal", OK, "imagined goal", {"source": "imagined"}))
                listener.spin(0.01)
            assert running.stdout is not None and "new goal from image_in" in running.stdout.read()


def test_an_answer_before_many_others_is_not_lost_by_a_command_that_was_held_up(
    picture: Path, listener: Listener
) -> None:
    statuses = listener.node.create_publisher(DiagnosticStatus, "rig/goal/status", LATCHED)
    pictures = listener.hear(CompressedImage, "rig/goal/image_in/compressed", COMMAND)
    command = [sys.executable, "-m", "rig_robot.cli", "goal", str(picture), "--timeout", "30"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        listener.until(lambda: pictures, "the picture that `rig goal` sends")
        # The goal node has met the command by then: its former answer is latched, and the command waits for that.
        listener.until(statuses.get_subscription_count, "`rig goal` listens to the answer")
        running.send_signal(signal.SIGSTOP)
        values = {"source": "image_in/compressed", "bytes": str(len(pictures[0].data))}
        statuses.publish(diagnostic("goal", OK, "new goal from image_in/compressed", values))
        for _ in range(20):
            statuses.publish(diagnostic("goal", OK, "imagined goal", {"source": "imagined"}))
            listener.spin(0.01)
        running.send_signal(signal.SIGCONT)
        assert running.stdout is not None and "new goal from image_in" in running.stdout.read()


def test_a_file_that_is_no_picture_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("hello")
    done = rig("goal", file)
    assert done.returncode == 2 and "not a PNG or JPEG" in done.stderr and "Traceback" not in done.stderr


def test_without_a_running_system_it_says_so(picture: Path) -> None:
    done = rig("goal", picture, "--timeout", 1)
    assert done.returncode == 1 and "no goal node" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("sim", "--checkpoint", "/no/where"), "/no/where"),
        (("sim", "--goals", "-5"), "-5"),
        (("robot", "--config", "/no/robot.yaml", "--checkpoint", SHIPPED_CHECKPOINT), "/no/robot.yaml"),
        (("robot", "--config", "/no/robot.yaml", "--checkpoint", "/no/where"), "/no/where"),
        (("eval", "/no/where"), "/no/where"),
        (("eval", "/no/where", "--goals", "0"), "goals"),
        (("goal", "/no/picture.png"), "/no/picture.png"),
        (("train", "--out", "/tmp", "--gamma", "2"), "gamma"),
        (("compare", "--seeds", "0"), "seeds"),
        (("compare", "--steps", "600"), "multiple of 250"),
        (("train", "--out", "/tmp", "--env", "Foo"), "RigSawyerReachXY-v0"),
        (("goal", "/tmp"), "/tmp is a directory: name a PNG or JPEG file"),
        (("goal",), "name one of a PICTURE, --example NUMBER and --capture"),
        (("goal", "--capture", "--example", "1"), "name one of a PICTURE, --example NUMBER and --capture"),
        (("goal", "--example", "6"), "example is 6: must be 1 to 5"),
        (("goal", "--example", "1", "--wait", "--arrival", "0"), "arrival is 0"),
        (("tell", "stop", "--namespace", "bad name"), "namespace is 'bad name'"),
        (("tell", "stop", "--timeout", "nan"), "timeout is nan"),
        (("tell", "trainer"), "tell trainer is followed by nothing: say pause, resume, fine-tune"),
        (("tell", "recorder", "fine-tune"), "tell recorder is followed by fine-tune: say pause, resume"),
        (("tell", "stop", "pause"), "tell stop is followed by pause: only recorder and trainer take an action"),
        (("eval", "package://no.package/x"), "no Python package no.package"),
        (("sim", "--goals", "1", "--json", "/no/where.json"), "/no/where.json"),
    ],
)
def test_a_bad_argument_is_named_in_one_line(arguments: tuple, named: str) -> None:
    done = rig(*arguments)
    assert done.returncode == 2 and named in done.stderr and "Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("arguments", "kind", "groups"),
    [((), TrainArgs, reach_arguments.GROUPS), (("--task", "push"), PushArgs, push_arguments.GROUPS)],
    ids=["reach", "push"],
)
def test_the_help_of_training_shows_each_argument_once_in_groups_the_usual_ten_first(
    arguments: tuple[str, ...], kind: type, groups: Groups
) -> None:
    done = rig("train", *arguments, "--help", columns=80)
    assert done.returncode == 0, done.stderr
    options = re.findall(r"^│ --([a-z0-9-]+)", done.stdout, re.MULTILINE)
    fields = [field.name.replace("_", "-") for field in dataclasses.fields(kind)]
    assert sorted(options) == sorted(fields)
    assert len(groups["usual"][1]) == 10
    assert options[:10] == [name.replace("_", "-") for name in groups["usual"][1]]
    boxes = re.findall(r"^╭─ (\S+) options", done.stdout, re.MULTILINE)
    assert boxes == list(groups)


def test_grouped_arguments_keep_the_defaults_of_the_method_and_what_is_given() -> None:
    given = ["train", "--method", "rig-2018", "--out", "runs/x", "--no-pictures"]
    _, args = cli._parse(given)
    assert args == dataclasses.replace(preset("rig-2018", out=Path("runs/x")), pictures=False)


def test_the_shell_completes_commands_options_and_values(tmp_path: Path) -> None:
    script = rig("--tyro-print-completion", "bash").stdout
    (tmp_path / "rig").write_text(script)
    typed = """
        source "$0"
        function=$(complete -p rig | sed "s/.*-F \\([^ ]*\\).*/\\1/")
        complete_words() {
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMPREPLY=()
            $function rig "${COMP_WORDS[$COMP_CWORD]}" "${COMP_WORDS[$((COMP_CWORD - 1))]}"
            echo "${COMPREPLY[@]}"
        }
        complete_words rig t
        complete_words rig train --sc
        complete_words rig train --scene c
    """
    done = subprocess.run(["bash", "-c", typed, str(tmp_path / "rig")], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["tell train", "--scene --scene-size", "cluttered colours"]


COMMANDS = "sim robot doctor goal tell watch page bags checkpoints view train explore compare eval"


@pytest.mark.parametrize("command", COMMANDS.split())
def test_every_command_explains_its_arguments_and_has_an_example(command: str) -> None:
    done = rig(command, "--help")
    assert done.returncode == 0 and "--help" in done.stdout and f"Example: rig {command}" in done.stdout


def test_the_help_lists_every_command_and_the_version_is_told() -> None:
    overview = rig("--help").stdout
    assert all(re.search(rf"\b{command}\b", overview) for command in COMMANDS.split())
    told = rig("--version")
    assert told.returncode == 0 and re.fullmatch(r"rig_robot \d+\.\d+\.\d+\n", told.stdout)


@pytest.mark.parametrize("number", range(1, EXAMPLES + 1))
def test_the_example_goals_are_pictures_of_the_simulated_camera(number: int) -> None:
    file = GoalOptions(example=number).source()
    assert file is not None
    assert cv2.imread(str(file)).shape == (480, 640, 3)


def test_a_checkpoint_of_a_package_is_understood_everywhere() -> None:
    done = rig("checkpoints", "package://rig_robot/models")
    assert done.returncode == 0 and "sawyer_reach_xy" in done.stdout


def test_an_empty_folder_of_episodes_is_said_to_be_empty(tmp_path: Path) -> None:
    done = rig("bags", tmp_path)
    assert done.returncode == 0 and done.stdout == f"no episodes in {tmp_path}\n"
    (tmp_path / "episodes" / "one").mkdir(parents=True)
    (tmp_path / "episodes" / "one" / "one.mcap").touch()
    done = rig("bags", tmp_path)
    assert done.returncode == 1 and f"there are some in {tmp_path / 'episodes'}" in done.stdout
