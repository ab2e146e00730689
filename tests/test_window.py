"""Pictures for people: `--no-headless` shows camera and goal or says why not, and no kept picture is black or old."""

import contextlib
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from ros_harness import START_S, Listener, node_process
from sensor_msgs.msg import Image
from test_cli import rig

from rig_robot.bringup.options import SimOptions
from rig_robot.bringup.systems import simulation
from rig_robot.common import display
from rig_robot.messages.images import rgb_to_image
from rig_robot.messages.imagined_goals import IMAGINED
from rig_robot.ros.qos import LATCHED, OBSERVATION
from rig_sim.goals_node import GoalsNode

RED, BLUE, GREEN = (200, 30, 30), (20, 40, 210), (20, 220, 60)


def test_a_window_without_a_display_is_one_line_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    done = rig("sim", "--no-headless", "--goals", 1)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and not done.stdout
    assert "--no-headless" in done.stderr and "DISPLAY is not set" in done.stderr
    monkeypatch.setenv("DISPLAY", ":9876")
    assert display.missing() == "no display answers: DISPLAY is :9876"


@pytest.mark.parametrize("goals", [-1, 0])
def test_a_window_is_asked_for_with_and_without_goals(checkpoint, monkeypatch: pytest.MonkeyPatch, goals: int) -> None:
    monkeypatch.setattr(display, "missing", lambda: "")
    for headless in (True, False):
        nodes = simulation(SimOptions(checkpoint=str(checkpoint), goals=goals, headless=headless))
        assert ("sim_window" in [node.name for node in nodes]) is not headless


@contextlib.contextmanager
def screen(folder: Path) -> Iterator[Path]:
    """A screen of 1300x700 that is a file; gives the file."""
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", "1", "-screen", "0", "1300x700x24", "-fbdir", str(folder), "-nolisten", "tcp"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DISPLAY", f":{server.stdout.readline().strip()}")
            yield folder / "Xvfb_screen0"
    finally:
        server.terminate()
        server.wait()


def pixels(file: Path) -> np.ndarray:
    """What a screen shows, uint8 [H, W, 3] RGB: its file is an XWD."""
    data = file.read_bytes()
    header = struct.unpack(">25I", data[:100])
    offset, width, height, line, colours = header[0], header[4], header[5], header[12], header[19]
    rows = np.frombuffer(data, np.uint8, height * line, offset + 12 * colours).reshape(height, line)
    return rows[:, : 4 * width].reshape(height, width, 4)[..., 2::-1]


def share(picture: np.ndarray, colour: tuple[int, int, int]) -> float:
    return float((np.abs(picture.astype(int) - colour).max(axis=-1) < 8).mean())


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed here")
def test_the_window_shows_the_camera_and_the_goal_side_by_side(tmp_path: Path, listener: Listener) -> None:
    with screen(tmp_path) as file, node_process("rig_sim.window_node"):
        camera = listener.node.create_publisher(Image, "camera/image_raw", OBSERVATION)
        goals = listener.node.create_publisher(Image, "rig/goal/image", LATCHED)
        stamp = listener.node.get_clock().now().to_msg()
        listener.until(
            lambda: camera.get_subscription_count() and goals.get_subscription_count(),
            "the window listens",
            timeout_s=2 * START_S,  # it opens another window first, to see whether it can
        )

        def shown(goal: tuple[int, int, int]) -> bool:
            camera.publish(rgb_to_image(np.full((480, 640, 3), RED, np.uint8), stamp, "camera"))
            listener.spin(0.1)
            now = pixels(file)
            return share(now, RED) > 0.3 and share(now, goal) > 0.2

        goals.publish(rgb_to_image(np.full((48, 48, 3), BLUE, np.uint8), stamp, "goal"))
        listener.until(lambda: shown(BLUE), "camera and goal")
        goals.publish(rgb_to_image(np.full((48, 48, 3), GREEN, np.uint8), stamp, IMAGINED))
        listener.until(lambda: shown(GREEN), "the next goal")


def test_the_start_picture_is_a_frame_from_after_the_question_and_never_black(
    checkpoint: Path, listener: Listener, tmp_path: Path
) -> None:
    given = ["-p", f"checkpoint:={checkpoint}", "-p", f"images:={tmp_path}"]
    with rclpy.init(args=["--ros-args", *given]):
        node = GoalsNode("goals_under_test")
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        camera = listener.node.create_publisher(Image, "camera/image_raw", OBSERVATION)
        listener.until(camera.get_subscription_count, "the goals node listens")

        def frame(level: int) -> None:
            picture = np.full((480, 640, 3), level, np.uint8)
            camera.publish(rgb_to_image(picture, listener.node.get_clock().now().to_msg(), "camera"))

        def seen(level: int) -> None:
            end = time.monotonic() + 30
            while node._view is None or node._view.data[0] != level:
                assert time.monotonic() < end, f"no frame of level {level}"
                frame(level)
                executor.spin_once(timeout_sec=0.05)

        seen(50)
        story = node._next_view()
        arrived = next(story)
        assert not arrived(), "a frame of before does not count"
        seen(90)
        assert arrived()
        with pytest.raises(StopIteration) as end:
            next(story)
        assert end.value.value[0, 0, 0] == 90
        executor.shutdown()
        node.destroy_node()
