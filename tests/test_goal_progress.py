"""Whether a goal is reached or stalled is told by its distances; millimetres are known of a split VAE."""

import dataclasses

import numpy as np
import pytest

from rig_robot.checkpoints.checkpoint import read_config
from rig_robot.common.package_files import locate
from rig_robot.inference.goal_progress import GoalProgress, Phase, Ruler


def phases(distances: list[float], near: float = 10.0, patience: float = 3.0) -> list[Phase]:
    """Return the phase after each distance, ten of them a second."""
    progress = GoalProgress(near, patience)
    return [progress.update(0.1 * number, distance) for number, distance in enumerate(distances)]


def test_a_goal_is_reached_once_it_was_near_for_half_a_second_and_not_by_passing_it() -> None:
    passing = [50.0, 20.0, 5.0, 5.0, 20.0, 40.0]
    assert set(phases(passing)) == {Phase.GOING}
    staying = phases([50.0, 20.0, *[8.0] * 8])
    assert staying[:6] == [Phase.GOING] * 6 and staying[-1] is Phase.REACHED


def test_noise_at_the_bound_does_not_lose_a_reached_goal_and_a_push_away_does() -> None:
    rng = np.random.default_rng(0)
    trembling = phases([8.0] * 8 + rng.uniform(6.0, 19.0, 50).tolist())
    assert set(trembling[7:]) == {Phase.REACHED}
    assert phases([8.0] * 8 + [60.0])[-1] is Phase.GOING


def test_an_arm_that_comes_no_nearer_is_stalled_and_goes_again_when_it_does() -> None:
    held = phases([80.0] * 40)
    assert held[29] is Phase.GOING and held[-1] is Phase.STALLED
    freed = phases([80.0] * 40 + [70.0, 60.0])
    assert freed[-1] is Phase.GOING
    creeping = phases([80.0 - number for number in range(60)])
    assert set(creeping) == {Phase.GOING}


def test_the_distance_is_in_millimetres_of_the_tool_for_a_split_vae() -> None:
    config = read_config(locate("package://rig_robot/models/sawyer_reach_xy"))
    ruler = Ruler(config)
    assert ruler.exact and not ruler.has_object
    assert ruler.tool_mm(np.array([1.0, 0.0]), np.array([0.0, 0.0])) == pytest.approx(20.0)


def test_the_distance_of_a_plain_vae_is_an_estimate_by_the_spread_of_its_prior() -> None:
    config = read_config(locate("package://rig_robot/models/sawyer_reach_xy"))
    plain = dataclasses.replace(
        config,
        vae=dataclasses.replace(config.vae, scene_size=0),
        latent_prior=dataclasses.replace(config.latent_prior, mean=(0.0, 0.0), covariance=((4.0, 0.0), (0.0, 4.0))),
    )
    ruler = Ruler(plain)
    sides = np.subtract(config.workspace.high, config.workspace.low)
    spread = 1000 * np.sqrt((sides**2).sum() / 12)  # of places in the box, as the prior's sqrt(8) of latents
    assert not ruler.exact
    assert ruler.tool_mm(np.array([np.sqrt(8.0), 0.0]), np.zeros(2)) == pytest.approx(spread)


def test_an_objects_distance_is_measured_apart_from_the_tools() -> None:
    config = read_config(locate("package://rig_robot/models/sawyer_reach_xy"))
    pushing = dataclasses.replace(config, vae=dataclasses.replace(config.vae, latent_size=4, objects=1))
    ruler = Ruler(pushing)
    latent, goal = np.array([1.0, 0.0, 0.0, 3.0]), np.array([0.0, 0.0, 0.0, 0.0])
    assert ruler.has_object
    assert ruler.tool_mm(latent, goal) == pytest.approx(20.0)
    assert ruler.object_mm(latent, goal) == pytest.approx(60.0)
