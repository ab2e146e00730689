"""The examples do what they say, as programs of their own beside the system."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from ros_harness import Listener, node_process, user_environment
from sensor_msgs.msg import Image

from rig_robot.bringup.environment import DDS_VARIABLES, DISCOVERY
from rig_robot.bringup.options import SHIPPED_CHECKPOINT
from rig_robot.commands.goal import send
from rig_robot.commands.tell import tell
from rig_robot.common.package_files import locate
from rig_robot.messages.latents import Latent, from_message
from rig_robot.ros.qos import LATCHED, OBSERVATION
from rig_sim.env import SawyerReachEnv

EXAMPLES = Path(__file__).parents[1] / "examples"
PLACES = {"near": (0.52, 0.12), "far": (0.68, -0.12)}
"""Where the tool is in two goal pictures, x and y in the base frame [m]"""

pytestmark = pytest.mark.slow


@contextlib.contextmanager
def running(*command: object, **environment: str) -> Iterator[subprocess.Popen[str]]:
    given = user_environment() | environment
    process = subprocess.Popen(
        [sys.executable, *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=given
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            print(process.communicate(timeout=20)[0])
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def goals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A picture of each of the `PLACES`."""
    world, files = SawyerReachEnv(), {}
    for name, place in PLACES.items():
        files[name] = tmp_path_factory.mktemp("goals") / f"{name}.png"
        cv2.imwrite(str(files[name]), world.render_goal(place)[..., ::-1])
    world.close()
    return files


@pytest.fixture(scope="module")
def system() -> Iterator[None]:
    """The simulated system, its arm armed."""
    with running("-m", "rig_robot.cli", "sim", "--goals", "-1"):
        end = time.monotonic() + 60.0
        while not (outcome := tell("arm", "", 60.0)).done:  # no joint state may have arrived yet
            assert time.monotonic() < end, outcome.text
        yield


@pytest.mark.usefixtures("system")
def test_a_program_sends_a_goal_as_an_action_and_is_told_that_it_is_reached(goals: dict[str, Path]) -> None:
    pytest.importorskip("rig_robot_interfaces.action", reason="not compiled here: make interfaces")
    assert tell("reach", "", 20.0).done
    with running(EXAMPLES / "reach_action.py", goals["far"]) as example:
        said, _ = example.communicate(timeout=120)
    assert example.returncode == 0, said
    assert "off" in said and said.splitlines()[-1].startswith("reached")


@pytest.mark.usefixtures("system")
def test_a_program_sends_a_goal_and_learns_from_topics_alone_that_it_is_reached(goals: dict[str, Path]) -> None:
    assert tell("reach", "", 20.0).done
    with running(EXAMPLES / "send_goal.py", goals["near"]) as example:
        said, _ = example.communicate(timeout=120)
    assert example.returncode == 0, said
    first, last = said.splitlines()
    assert first.startswith("new goal from image_in/compressed") and last.startswith("reached")


@pytest.mark.usefixtures("system")
def test_a_policy_of_ones_own_brings_the_arm_to_the_goal_in_the_policy_node_s_place(
    listener: Listener, goals: dict[str, Path]
) -> None:
    assert tell("idle", "", 20.0).done
    assert send(goals["far"]).accepted
    latents: list[Image] = listener.hear(Image, "rig/latent", OBSERVATION)
    wanted: list[Image] = listener.hear(Image, "rig/goal/latent", LATCHED)

    def apart() -> float:
        now, goal = from_message(latents[-1]), from_message(wanted[-1])
        assert isinstance(now, Latent) and isinstance(goal, Latent)
        return 20.0 * float(np.linalg.norm(now.mean - goal.mean))  # mm

    listener.until(
        lambda: latents and wanted and wanted[-1].width and apart() > 30.0, "latents of the view and of a goal apart"
    )
    with running(EXAMPLES / "my_policy.py"):
        listener.until(lambda: apart() < 5.0, "the arm is at the goal", 90.0)


def test_a_camera_of_ones_own_is_seen(listener: Listener, tmp_path: Path) -> None:
    file = tmp_path / "video.mp4"
    video = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"mp4v"), 30, (640, 480))
    for level in range(40, 200, 4):
        video.write(np.full((480, 640, 3), (0, level, 0), np.uint8))  # green
    video.release()
    seen = listener.hear(Image, "own/rig/observation/image", OBSERVATION)
    profile = {name: os.environ[name] for name in (*DDS_VARIABLES, DISCOVERY) if name in os.environ}
    parameters = {"checkpoint": str(locate(SHIPPED_CHECKPOINT)), "source": "topic"}
    with (
        node_process("rig_robot.nodes.camera", parameters, {"__ns": "/own"}),
        running(EXAMPLES / "my_camera.py", file, "--ros-args", "-r", "__ns:=/own", **profile),
    ):
        listener.until(lambda: len(seen) > 20, "observations of its frames")
    red, green, blue = np.frombuffer(seen[-1].data, np.uint8).reshape(-1, 3).mean(axis=0)
    assert green > 35 > max(red, blue) and seen[-1].header.frame_id == "camera_optical_frame"


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_an_example_is_short_and_needs_nothing_of_this_package(name: str) -> None:
    text = (EXAMPLES / name).read_text()
    body = text.split('"""', 2)[2]
    assert len([line for line in body.splitlines() if line.strip() and "import" not in line]) <= 25
    assert "rig_robot" not in body.replace("rig_robot_interfaces", "") and "rig_sim" not in body
