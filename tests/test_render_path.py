"""What training sees is what the camera node makes of a frame, to within a 2 mm move of the tool."""

import os
import subprocess
import sys

import gymnasium
import numpy as np
import pytest

import rig_sim  # noqa: F401  (registers the environments)
from rig_robot.vision.observation import CENTRE_SQUARE, Crop, prepare
from rig_sim.env import SawyerReachEnv
from rig_sim.world import Camera


def rms(a, b):
    """Root of the mean squared difference of two pictures (grey levels)."""
    return np.sqrt(((a.astype(float) - b.astype(float)) ** 2).mean())


def in_camera(env, position):
    """The observation by way of a 640x480 frame with the tool at a position."""
    env.reset(options={"start": position})
    return prepare(env.render_frame(), env.crop, env.image_size)


@pytest.mark.parametrize(
    ("name", "heights"), [("RigSawyerReachXY-v0", [0.15]), ("RigSawyerReachXYZ-v0", [0.12, 0.25, 0.37])]
)
@pytest.mark.parametrize("size", [48, 64, 84])
def test_training_picture_differs_from_the_cameras_by_less_than_a_two_millimetre_move(name, heights, size):
    env = gymnasium.make(name, image_size=size).unwrapped
    for x in (0.46, 0.60, 0.74):
        for y in (-0.19, -0.05, 0.08, 0.19):
            for z in heights:
                position = np.array([x, y, z])
                camera = in_camera(env, position)
                error = rms(env.render_goal(position), camera)
                moved = min(
                    rms(in_camera(env, position + 0.002 * sign * np.eye(3)[axis]), camera)
                    for axis in range(len(env.axes))
                    for sign in (-1, 1)
                )
                assert error < moved, f"tool at {position}: {error:.2f} grey levels, a 2 mm move {moved:.2f}"
    env.close()


def test_an_environment_of_another_crop_sees_what_the_camera_node_would(monkeypatch):
    monkeypatch.setattr(SawyerReachEnv, "crop", Crop(0.0, 0.1, 0.8, 0.9))
    env = gymnasium.make("RigSawyerReachXY-v0").unwrapped
    observed = env.reset(seed=0)[0]["image"]
    np.testing.assert_array_equal(observed, prepare(env.render_frame(), env.crop, env.image_size))
    assert rms(observed, prepare(env.render_frame(), CENTRE_SQUARE, env.image_size)) > 10
    env.close()


@pytest.mark.parametrize("size", [1, 7, 200, 480, 500])
def test_any_observation_size_can_be_had(size):
    env = gymnasium.make("RigSawyerReachXY-v0", image_size=size).unwrapped
    assert env.render_goal([0.6, 0.0]).shape == (size, size, 3)
    env.close()


def test_the_whole_tool_shows_in_every_corner_of_the_workspace():
    env = gymnasium.make("RigSawyerReachXYZ-v0").unwrapped
    for x in (0.45, 0.75):
        for y in (-0.20, 0.20):
            for z in (0.12, 0.37):
                image = env.render_goal([x, y, z]).astype(int)
                tool = (image[..., 1] > image[..., 0] + 60) & (image[..., 1] > image[..., 2] + 60)
                assert tool.sum() >= 9, f"{tool.sum()} pixels of the tool at {(x, y, z)}"
                assert not (tool[0].any() or tool[-1].any() or tool[:, 0].any() or tool[:, -1].any())


@pytest.mark.parametrize("display", [{}, {"DISPLAY": ":99"}], ids=["no display", "a display that does not answer"])
@pytest.mark.parametrize("first", ["mujoco", "gymnasium, rig_robot.arm.kinematics", "rig_sim"])
def test_rendering_needs_no_display_whatever_was_imported_first(first, display):
    program = f"import {first}; import rig_sim, rig_sim.world as w; world = w.World(); "
    program += "print(w.Camera(world.model, 48, 48).render(world.data).max())"
    environment = {name: value for name, value in os.environ.items() if name not in ("MUJOCO_GL", "DISPLAY")} | display
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 100


def test_cameras_may_go_in_any_order_and_at_exit_in_none():
    """What is freed with another camera's context current would be that one's."""
    program = """
import gc, numpy as np, weakref
class Thing: pass
thing = Thing(); weakref.finalize(thing, print, end="")  # an exit hook older than OpenGL's
import rig_sim
from rig_sim.world import Camera, World
world = World()
first = [Camera(world.model, size, size) for size in (48, 336, 240, 400)]
seen = [camera.render(world.data) for camera in first]
del first[2], first[0]; gc.collect()
camera = Camera(world.model, 240, 240); camera = Camera(world.model, 240, 240)
assert (camera.render(world.data) == seen[2]).all()
assert (first[0].render(world.data) == seen[1]).all() and (first[1].render(world.data) == seen[3]).all()
first[0].close(); first[0].close()
assert (first[1].render(world.data) == seen[3]).all()
held = first; held.append(held)  # a cycle, alive at exit
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")


def test_leaving_out_what_the_camera_never_sees_changes_no_pixel():
    env = gymnasium.make("RigSawyerReachXY-v0").unwrapped
    everything = Camera(env.world.model, *env.camera_size)
    everything._option.geomgroup[1] = 1
    for x in (0.44, 0.6, 0.76):
        for y in (-0.21, 0.0, 0.21):
            for z in (0.11, 0.15, 0.25, 0.38):
                env.reset(options={"start": [x, y, z]})
                np.testing.assert_array_equal(env.render_frame(), everything.render(env.world.data))
    everything.close()


def test_overview_for_people_is_another_picture_than_the_cameras():
    env = gymnasium.make("RigSawyerReachXY-v0", render_mode="rgb_array").unwrapped
    env.reset(seed=0)
    overview, frame = env.render(), env.render_frame()
    assert overview.shape == frame.shape == (480, 640, 3)
    assert rms(overview, frame) > 20
