"""Lost frames are reported: by default, Fast DDS silently loses half of those of a driver in its own process."""

import contextlib
import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from examined_robot import well
from hypothesis import given
from hypothesis import strategies as st
from ros_harness import Listener, node_process, user_environment

from rig_robot.bringup.environment import DDS_VARIABLES
from rig_robot.doctor import system_listener as listening
from rig_robot.doctor.check_result import Level
from rig_robot.doctor.checks import camera
from rig_robot.doctor.heard import Topics
from rig_robot.ros.frame_loss import FrameLoss, Loss, cure, judge

RATES = st.sampled_from([15.0, 30.0, 60.0])


def driven(rate: float, seconds: float, jitter: float = 0.0, seed: int = 0) -> np.ndarray:
    """Stamps of a driver [s], jitter as a share of its step."""
    steps = np.arange(int(rate * seconds)) + np.random.default_rng(seed).uniform(-jitter, jitter, int(rate * seconds))
    return 1000.0 + steps / rate


@given(RATES, st.floats(0.0, 0.2), st.integers(0, 1000), st.booleans())
def test_a_driver_whose_frames_all_arrive_gets_no_warning(rate, jitter, seed, disorder):
    stamps, rng = driven(rate, 8.0, jitter, seed), np.random.default_rng(seed)
    if disorder:  # a tenth comes twice, and neighbours change places
        stamps = np.concatenate([stamps, rng.choice(stamps, len(stamps) // 10)])
        stamps = stamps[np.argsort(stamps + rng.uniform(0, 3 / rate, len(stamps)))]
    assert judge(list(stamps), [], 8.0) is None
    assert judge(list(np.delete(stamps, [20, 21])), [2], 8.0) is None, "a hiccup"


@given(RATES, st.floats(0.12, 0.7), st.floats(0.0, 0.1), st.integers(0, 1000))
def test_the_drivers_own_rate_is_told_from_what_is_left_of_its_stamps(rate, share, jitter, seed):
    stamps = driven(rate, 20.0, jitter, seed)
    left = stamps[np.random.default_rng(seed).uniform(size=len(stamps)) >= share]
    loss = judge(list(left), [], 20.0)
    assert loss is not None and loss.own == pytest.approx(rate, rel=0.08)
    assert loss.share == pytest.approx(1 - len(left) / len(stamps), abs=0.05) and not loss.on_the_way


@pytest.mark.parametrize(
    "steps",
    [
        [1 / 30] * 120 + [1 / 15] * 60,
        ([1 / 30] * 30 + [1 / 15] * 15) * 4,
        ([1 / 60] * 40 + [1 / 20] * 20) * 4,
        list(np.linspace(1 / 30, 1 / 10, 120)),
        list(1 / 30 + 0.03 * np.sin(np.arange(240) / 20) ** 2),
        [1 / 15] * 120,
        [0.05, 1 / 60] * 60,  # every second stamp is 17 ms off
    ],
)
def test_a_driver_whose_exposure_changes_its_rate_loses_nothing(steps):
    assert judge(list(1000.0 + np.cumsum(steps)), [], float(np.sum(steps))) is None


def test_what_the_middleware_has_missed_is_told_however_little_arrives():
    assert judge([1000.0, 1004.0], [90, 140], 8.0) == Loss(0.25, 29.0, 230 / 232, True)
    assert judge([1000.0 + index / 30 for index in range(240)], [1, 1, 1, 1], 8.0) is None, "less than 5%"


def test_the_first_seconds_do_not_count():
    watched = FrameLoss(settle=3.0, window=8.0)
    for index in range(330):
        watched.came(1000.0 + index / 30, index / 30)
        if index < 80:
            watched.missed(1, index / 30)
        assert watched.loss(index / 30) is None
    for index in range(330, 450):
        watched.missed(1, index / 30)
    assert watched.loss(15.0).on_the_way


def test_the_cure_is_the_middlewares_own():
    assert "camera.xml" in cure("rmw_fastrtps_cpp") and "camera.xml" not in cure("rmw_cyclonedds_cpp")


# A driver in a process of its own, over real DDS


@contextlib.contextmanager
def driver(profile: dict[str, str]) -> Iterator[None]:
    environment = user_environment() | profile
    process = subprocess.Popen([sys.executable, Path(__file__).parent / "frame_driver.py", "30"], env=environment)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_a_driver_without_the_profile_is_said_once_with_the_line_that_cures_it(checkpoint, listener: Listener) -> None:
    said: list[tuple[bytes, str]] = []

    def note(message: DiagnosticArray) -> None:
        said.extend((status.level, status.message) for status in message.status if status.name == "camera")

    listener.node.create_subscription(DiagnosticArray, "/diagnostics", note, 10)
    with node_process("rig_robot.nodes.camera", {"checkpoint": str(checkpoint)}) as node:
        with driver({}):
            listener.until(lambda: "frames a second arrive" in node.output(), "the loss is said")
            topics = Topics("joint_states", "camera/image_raw", "commands", (), [], False, False)
            heard = listening.listen(topics, "", 3.0, lambda heard: bool(heard.frames.arrivals), 5.0)
            finding = camera.frames(dataclasses.replace(well(), heard=heard))
            # Where next to nothing arrives, it may be nothing.
            assert finding.level is not Level.OK and "arrive" in finding.found and "camera.xml" in finding.advice
            said.clear()
            listener.until(lambda: said, "health")
            assert said[-1][0] == b"\x01" and "camera.xml" in said[-1][1]
        (line,) = [line for line in node.output().splitlines() if "frames a second arrive" in line]
        (setting,) = [word for word in line.split() if word.startswith(DDS_VARIABLES)]
        name, _, file = setting.partition("=")
        with driver({name: file}):
            said.clear()
            listener.until(lambda: (b"\x00", "frames are passed on") in said, "with the line's own setting all is well")
        assert node.output().count("frames a second arrive") == 1
