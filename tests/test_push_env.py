"""The pushing environment: contract, contact, who puts the puck back, and what the camera sees."""

import warnings
from collections.abc import Iterator

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import rig_sim  # noqa: F401  (registers the environments)
from rig_robot.common.scene_names import SCENES
from rig_sim.push_env import SawyerPushEnv
from rig_sim.push_world import APART, PUCK_AREA, TOOL_HIGH, TOOL_LOW

NAME = "RigSawyerPushXY-v0"


def make(**arguments: object) -> SawyerPushEnv:
    env = gymnasium.make(NAME, **arguments).unwrapped
    assert isinstance(env, SawyerPushEnv)
    return env


@pytest.fixture(scope="module")
def env() -> Iterator[SawyerPushEnv]:
    env = make()
    yield env
    env.close()


def test_the_checkers_find_nothing_wrong() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(render_mode="rgb_array", action_delay=(0.0, 0.03)))
    sb3_check_env(make())


def test_starts_and_goals_are_in_their_boxes_and_the_tool_never_on_the_puck(env: SawyerPushEnv) -> None:
    for seed in range(60):
        observation, info = env.reset(seed=seed)
        for place in (observation["achieved_goal"], observation["desired_goal"]):
            assert (place[:2] >= TOOL_LOW[:2] - 1e-3).all() and (place[:2] <= TOOL_HIGH[:2] + 1e-3).all()
            assert PUCK_AREA.has(place[2:]) and np.linalg.norm(place[:2] - place[2:]) >= APART - 1e-3
        apart = observation["achieved_goal"] - observation["desired_goal"]
        assert info["distance"] == pytest.approx(np.linalg.norm(apart[2:]))
        assert info["tool_distance"] == pytest.approx(np.linalg.norm(apart[:2]))


def test_the_peg_pushes_the_puck_before_it_and_friction_stops_it_within_two_steps(env: SawyerPushEnv) -> None:
    env.reset(seed=0, options={"start": [0.5, 0.0], "puck": [0.58, 0.0]})
    for _ in range(5):
        env.step([1, 0])
    pushed = env.world.puck_position
    assert 0.64 < pushed[0] < 0.70 and abs(pushed[1]) < 0.01, pushed
    places = []
    for _ in range(5):
        env.step([-1, 0])
        places.append(env.world.puck_position)
    assert np.linalg.norm(places[-1] - places[1]) < 1e-4, "it slides on"
    assert np.linalg.norm(places[-1] - pushed) < 0.02
    assert env.put_back == 0


def test_the_puck_goes_to_the_side_on_which_it_is_not_hit(env: SawyerPushEnv) -> None:
    env.reset(seed=0, options={"start": [0.5, 0.02], "puck": [0.6, 0.0]})
    for _ in range(6):
        env.step([1, 0])
    assert env.world.puck_position[1] < -0.01


def test_the_puck_stays_where_it_was_pushed_unless_it_leaves_its_area() -> None:
    env = make()
    env.reset(seed=3, options={"start": [0.5, 0.0], "puck": [0.58, 0.0]})
    for _ in range(4):
        env.step([1, 0])
    before = env.world.puck_position
    after = env.reset()[0]["achieved_goal"][2:]
    np.testing.assert_allclose(after, before, atol=1e-6)
    env.reset(options={"start": [0.61, 0.0], "puck": [0.69, 0.0]})
    told = [env.step([1, 0])[4]["put_back"] for _ in range(5)]
    assert sum(told) == env.put_back == 1 and PUCK_AREA.has(env.world.puck_position)
    env.close()


def test_with_resets_each_episode_puts_the_puck_somewhere_else() -> None:
    env = make(resets=True)
    places = [env.reset()[0]["achieved_goal"][2:] for _ in range(3)]
    assert np.linalg.norm(places[0] - places[1]) > 1e-3 and np.linalg.norm(places[1] - places[2]) > 1e-3
    assert env.put_back == 0
    env.close()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_in_all_scenes_but_for_the_look() -> None:
    seen = {}
    for scene in SCENES:
        env = make(scene=scene)
        observation, _ = env.reset(seed=5)
        actions = np.random.default_rng(0).uniform(-1, 1, (6, 2))
        images = [observation["image"]] + [env.step(action)[0]["image"] for action in actions]
        seen[scene] = (env.world.tool_position, env.world.puck_position, env._goal, np.stack(images))
        env.close()
    for scene, (tool, puck, goal, images) in seen.items():
        for found, expected in zip((tool, puck, goal), seen["plain"], strict=False):
            np.testing.assert_array_equal(found, expected)
        assert scene == "plain" or (images != seen["plain"][3]).any()


def test_rewards_are_those_of_compute_reward_for_one_or_many(env: SawyerPushEnv) -> None:
    env.reset(seed=1)
    taken = [env.step(action) for action in np.random.default_rng(0).uniform(-1, 1, (8, 2))]
    achieved, desired = (np.stack([step[0][key] for step in taken]) for key in ("achieved_goal", "desired_goal"))
    np.testing.assert_array_equal(env.compute_reward(achieved, desired, {}), [step[1] for step in taken])
    assert taken[0][1] == -(taken[0][4]["distance"] + taken[0][4]["tool_distance"])


def test_a_goal_picture_shows_what_the_camera_sees_where_the_goal_is_achieved(env: SawyerPushEnv) -> None:
    goal = np.array([0.5, 0.1, 0.65, -0.1])
    image = env.render_goal(goal).astype(int)
    seen = env.reset(seed=2, options={"start": goal[:2], "puck": goal[2:]})[0]["image"].astype(int)
    assert np.abs(seen - image).max() <= 8, "but for a tenth of a millimetre that the puck sinks in"
    moved = env.render_goal(goal + np.array([0, 0, 0.01, 0])).astype(int)
    assert np.abs(moved - image).max() > 30


def test_the_arm_never_hides_the_puck_whole(env: SawyerPushEnv) -> None:
    random, seen = np.random.default_rng(0), []
    for number in range(300):
        puck = random.uniform(*PUCK_AREA)
        tool = random.uniform(TOOL_LOW[:2], TOOL_HIGH[:2])
        if number % 3:  # before the puck as the camera sees it, far off and near
            tool = puck + random.uniform((APART, -0.04), (0.29, 0.04))
        if np.linalg.norm(tool - puck) < APART or (tool > TOOL_HIGH[:2]).any():
            continue
        picture = env._eye.render(env._at_rest(np.append(tool, puck))).astype(int)
        red, green, blue = np.moveaxis(picture, -1, 0)
        seen.append(int(((red - green > 60) & (blue - green > 50)).sum()))
    assert len(seen) > 120 and min(seen) > 0.08 * np.median(seen), sorted(seen)[:5]


@pytest.mark.parametrize(
    ("options", "said"),
    [({"puck": [0.6]}, "puck must be 2"), ({"goal": [0.6, 0.0]}, "goal must be 4"), ({"start": [np.nan, 0]}, "start")],
)
def test_a_place_that_is_none_is_refused_by_name(env: SawyerPushEnv, options: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        env.reset(seed=0, options=options)
