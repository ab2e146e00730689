"""The camera has not moved since the checkpoint was made: by the shipped checkpoint's reference, in its simulation."""

import math
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest

import rig_sim  # noqa: F401  (registers the environment)
from rig_robot.vision import view_monitor
from rig_robot.vision.view_check import Reference, ViewChange, compare, reference
from rig_robot.vision.view_monitor import ViewMonitor
from rig_robot.vision.view_plot import picture

PLAIN = Path(__file__).parent / "data" / "plain_vae"
"""A checkpoint trained in the plain scene, which keeps what stands still in it"""

POSES = 30


class Scene:
    """The simulated scene with the arm at a few places."""

    def __init__(self) -> None:
        self.env: Any = gymnasium.make("RigSawyerReachXY-v0", image_size=48).unwrapped
        self.env.reset(seed=0)
        self.model = self.env.world.model
        low, high = self.env.workspace_low, self.env.workspace_high
        self.places = np.random.default_rng(3).uniform(low, high, (POSES, 3))
        self.quaternions = self.model.cam_quat.copy()

    def views(self, count: int = POSES) -> np.ndarray:
        return np.stack([self.env.render_goal(place) for place in self.places[:count]])

    def turned(self, axis: tuple[int, int, int], degrees: float, count: int = 12) -> np.ndarray:
        camera = self.model.camera("camera").id
        by = np.zeros(4)
        mujoco.mju_axisAngle2Quat(by, np.array(axis, float), math.radians(degrees))
        mujoco.mju_mulQuat(self.model.cam_quat[camera], self.quaternions[camera], by)
        views = self.views(count)
        self.model.cam_quat[:] = self.quaternions
        return views


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.env.close()


@pytest.fixture(scope="module")
def still(scene: Scene) -> np.ndarray:
    return scene.views()


@pytest.fixture(scope="module")
def known() -> Reference:
    found = reference(PLAIN)
    assert found is not None
    return found


def test_a_camera_that_has_not_moved_gives_no_alarm_wherever_the_arm_is(known, still):
    changes = [compare(known, view) for view in still]
    assert [change.problems for change in changes] == [()] * POSES
    assert max(math.hypot(*change.shift) for change in changes) < 0.3


def test_a_node_that_starts_is_left_alone_for_one_interval(monkeypatch, known, still):
    now = [100.0]
    monkeypatch.setattr(view_monitor, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monitor, wanted = ViewMonitor(known), threading.Event()
    monkeypatch.setattr(view_monitor, "compare", lambda *given: wanted.set() or compare(*given))
    for passed in (0.0, 0.9 * view_monitor.EVERY):
        now[0] = 100.0 + passed
        monitor.show(still[0])
        assert not wanted.wait(0.3), "compared at once, in the node's first second"
    now[0] = 100.0 + view_monitor.EVERY
    monitor.show(still[0])
    assert wanted.wait(20)
    monitor.stop()


@pytest.mark.parametrize(
    ("axis", "degrees", "words"),
    [
        ((0, 1, 0), 2.0, "3.0 observation pixels to the right"),
        ((0, 1, 0), -2.0, "3.0 observation pixels to the left"),
        ((1, 0, 0), 1.0, "1.6 observation pixels down"),
        ((1, 0, 0), -0.5, "0.8 observation pixels up"),
    ],
)
def test_a_camera_that_has_turned_is_told_in_pixels_and_its_way(known, scene, axis, degrees, words):
    views = scene.turned(axis, degrees)
    found = compare(known, views[:6])
    assert len(found.problems) == 1
    measured = math.hypot(*found.shift)
    assert measured == pytest.approx(
        48 / 2 / math.tan(math.radians(15.5)) * math.tan(math.radians(abs(degrees))), abs=0.25
    )
    told = found.problems[0].replace(f"{max(map(abs, found.shift)):.1f}", words.split()[0])
    assert told == f"the view has shifted by {words}"
    alone = [bool(compare(known, view).problems) for view in views]
    assert np.mean(alone) >= 0.7, "most single views tell as well"


@pytest.mark.parametrize("degrees", [-2.0, 1.5])
def test_a_camera_that_has_rolled_is_told_in_degrees(known, scene, degrees):
    found = compare(known, scene.turned((0, 0, 1), degrees, 6))
    assert found.turned == pytest.approx(degrees, abs=0.3)
    way = "clockwise" if degrees > 0 else "anticlockwise"
    assert any("turned" in text and text.endswith(f"degrees {way}") for text in found.problems)


@pytest.mark.parametrize(("share", "words"), [(0.8, "darker by 20%"), (1.05, None), (0.88, "darker by 12%")])
def test_other_light_is_told_and_a_little_of_it_is_not(known, still, share, words):
    dimmed = np.round(still * share).clip(0, 255).astype(np.uint8)
    for view in dimmed[:10]:
        problems = compare(known, view).problems
        assert problems == ((words,) if words else ())


def test_other_colours_and_another_scene_are_told(known, still):
    blue = (still * np.array([1.0, 1.0, 0.85])).astype(np.uint8)
    assert any("less blue" in text for text in compare(known, blue[0]).problems)
    other = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    assert any("is this the checkpoint's view?" in text for text in compare(known, other).problems)


def test_a_direction_without_an_edge_in_sight_is_said_to_be_blind():
    stripes = np.full((40, 48, 48, 3), 60, np.uint8)
    stripes[:, 20:] = 180
    found = compare(Reference.of(stripes), stripes[0])
    assert found.blind == ("sideways",)
    flat = np.full((40, 48, 48, 3), 60, np.uint8)
    assert compare(Reference.of(flat), flat[0]).blind == ("sideways", "up and down")


def test_an_arm_that_is_nowhere_for_long_is_not_in_the_reference():
    views = np.full((100, 48, 48, 3), 150, np.uint8)
    for index in range(100):
        left = (index * 7) % 40
        views[index, 10:30, left : left + 8] = 10
    known = Reference.of(views)
    assert (known.median == 150).all()
    assert known.steady[40, 20] == 255 and 0 < known.steady[20, 20] < 255


def test_observations_of_another_size_are_refused(known):
    with pytest.raises(ValueError, match="84"):
        compare(known, np.zeros((84, 84, 3), np.uint8))


def test_the_picture_shows_reference_today_and_difference(known, still):
    change = compare(known, still[0])
    drawn = picture(known, still[0], change)
    assert drawn.dtype == np.uint8 and drawn.shape[2] == 3 and drawn.shape[1] > 1200
    for left, view in ((16, known.median), (416, still[0])):
        np.testing.assert_array_equal(drawn[40:420:8, left + 4 : left + 384 : 8][:47], view[:47])
    everything = ViewChange((3.0, 0.0), 2.0, -0.3, (0.1, 0.0, -0.1), 0.1, ("up and down",), 48)
    assert picture(known, still, everything).shape[0] > drawn.shape[0], "a line for each problem"


def test_a_shifted_scene_is_not_taken_for_a_changed_or_darker_one(known):
    shifted = np.roll(known.median, 6, axis=0)
    shifted[:6] = known.median[0]
    found = compare(known, shifted)
    assert found.shift[1] == pytest.approx(6.0, abs=0.1)
    assert found.changed < 0.02 and abs(found.brightness) < 0.01


def test_a_room_in_which_nothing_stands_still_is_nothing_to_compare_with(known):
    rng = np.random.default_rng(0)
    rooms = rng.integers(0, 256, (60, 1, 1, 3)) + rng.integers(0, 20, (60, 48, 48, 3))
    assert known.still and not Reference.of(rooms.clip(0, 255).astype(np.uint8)).still
