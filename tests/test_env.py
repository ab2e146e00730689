"""The gymnasium environments: contract, physics, determinism."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import rig_sim  # noqa: F401  (registers the environments)

NAMES = ("RigSawyerReachXY-v0", "RigSawyerReachXYZ-v0")


def make(name=NAMES[0], **arguments):
    return gymnasium.make(name, **arguments).unwrapped


@pytest.fixture(scope="module")
def plane():
    env = make()
    yield env
    env.close()


@pytest.mark.parametrize("name", NAMES)
def test_gymnasium_finds_nothing_wrong_with_the_environment(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(name, render_mode="rgb_array", action_delay=(0.0, 0.03)))


@pytest.mark.parametrize("name", NAMES)
def test_stable_baselines3_finds_nothing_wrong_with_the_environment(name):
    sb3_check_env(make(name))


def test_episodes_end_after_fifty_steps():
    env = gymnasium.make(NAMES[0])
    env.reset(seed=0)
    ends = [env.step(np.zeros(2, np.float32))[2:4] for _ in range(50)]
    assert ends == [(False, False)] * 49 + [(False, True)]


@pytest.mark.parametrize("name", NAMES)
def test_starts_and_goals_stay_in_the_workspace_and_spread_over_it(name):
    env = make(name)
    low, high = np.array([0.45, -0.20, 0.15]), np.array([0.75, 0.20, 0.15])
    if name.endswith("XYZ-v0"):
        low[2], high[2] = 0.12, 0.37
    np.testing.assert_allclose([env.workspace_low, env.workspace_high], [low, high])
    seen = [env.reset(seed=seed)[0] for seed in range(60)]
    goals, starts = (np.array([o[key] for o in seen]) for key in ("desired_goal", "achieved_goal"))
    assert (goals >= low).all() and (goals <= high).all()
    margin = np.where(high > low, 0.02, 0.0)
    assert (starts >= low + margin - 1e-4).all() and (starts <= high - margin + 1e-4).all()
    assert (np.ptp(goals, axis=0) >= 0.8 * (high - low)).all()


@pytest.mark.parametrize("size", [48, 84])
def test_same_seed_and_actions_give_the_same_pictures(size):
    def rollout():
        env = make(image_size=size, action_delay=(0.0, 0.03))
        images = [env.reset(seed=3)[0]["image"]]
        actions = np.random.default_rng(0).uniform(-1, 1, (10, 2))
        images += [env.step(action)[0]["image"] for action in actions]
        env.render_goal([0.5, 0.1])  # looking must not change what happens
        images += [env.step(action)[0]["image"] for action in actions]
        images.append(env.reset()[0]["image"])
        env.close()
        return np.array(images)

    first = rollout()
    assert first.shape == (22, size, size, 3)
    np.testing.assert_array_equal(first, rollout())


def test_looking_at_a_goal_does_not_disturb_the_arm(plane):
    def end(look):
        plane.reset(seed=5)
        for _ in range(5):
            plane.step([1.0, -0.5])
            if look:
                plane.render_goal([0.5, 0.1])
        return plane.world.joint_positions

    np.testing.assert_array_equal(end(look=True), end(look=False))


def test_an_action_of_one_moves_the_tool_two_centimetres(plane):
    plane.reset(seed=0, options={"start": [0.6, 0.0]})
    for axis, sign in ((0, 1), (1, 1), (0, -1), (1, -1)):
        action = np.zeros(2)
        action[axis] = sign
        before = plane.world.tool_position
        for _ in range(3):
            plane.step(action)
        for _ in range(4):
            plane.step(np.zeros(2))
        expected = np.zeros(3)
        expected[axis] = sign * 0.06
        np.testing.assert_allclose(plane.world.tool_position - before, expected, atol=0.002)


@pytest.mark.parametrize("name", NAMES)
def test_the_servos_settle_within_two_millimetres_everywhere(name):
    """Gravity, friction and a hard stop included: the arm must stand where it was told to."""
    env = make(name)
    rng = np.random.default_rng(1)
    for seed in range(6):
        env.reset(seed=seed)
        action = rng.uniform(-1, 1, env.action_space.shape)
        asked = env.world.tool_position
        for _ in range(4):
            env.step(action)
            asked[: len(action)] += 0.02 * action
            asked = np.clip(asked, env.workspace_low, env.workspace_high)
        for _ in range(5):
            observation = env.step(np.zeros_like(action))[0]
        assert np.linalg.norm(observation["achieved_goal"] - asked) < 0.002
        assert np.abs(env.world.joint_velocities).max() < 0.01  # no servo chatters


def test_the_arm_has_mass(plane):
    """Stopped from full speed it overshoots by some millimetres and comes back; no servo exceeds its torque."""
    plane.reset(seed=0, options={"start": [0.6, -0.1]})
    path = []
    for action in [[0.0, 1.0]] * 5 + [[0.0, 0.0]] * 5:
        path.append(plane.step(action)[0]["achieved_goal"][1])
        limits = plane.world.model.actuator_forcerange[:, 1]
        assert (np.abs(plane.world.data.actuator_force) <= limits + 1e-9).all()
    assert 0.001 < max(path) - path[-1] < 0.008


@pytest.mark.parametrize("name", NAMES)
def test_no_sequence_of_actions_takes_the_tool_out_of_the_workspace(name):
    env = make(name)
    n = len(env.axes)
    for corner in np.array(np.meshgrid(*[[-1, 1]] * n)).reshape(n, -1).T:
        env.reset(seed=1)
        for _ in range(25):
            position = env.step(corner)[0]["achieved_goal"]
            # Arriving at full speed it overshoots by some millimetres.
            assert (position >= env.workspace_low - 0.006).all() and (position <= env.workspace_high + 0.006).all()
        expected = np.where(corner > 0, env.workspace_high[:n], env.workspace_low[:n])
        np.testing.assert_allclose(position[:n], expected, atol=0.002)


def test_the_arm_touches_nothing_anywhere_in_the_workspace():
    env = make(NAMES[1])
    for x in (0.45, 0.6, 0.75):
        for y in (-0.2, 0.0, 0.2):
            for z in (0.12, 0.37):
                env.reset(options={"start": [x, y, z]})
                assert env.world.data.ncon == 0


def test_delay_holds_an_action_back_but_loses_none_of_it():
    def positions(delay):
        env = make(action_delay=(delay, delay))
        env.reset(seed=0, options={"start": [0.6, -0.1]})
        path = [env.step(action)[0]["achieved_goal"][1] for action in [[0, 1]] * 3 + [[0, 0]] * 4]
        return np.array(path)

    prompt, late = positions(0.0), positions(0.04)
    assert (prompt - late)[:3].min() > 0.005
    assert abs(prompt[-1] - late[-1]) < 1e-3


def test_reward_is_minus_the_distance_and_vectorised(plane):
    rng = np.random.default_rng(0)
    achieved, desired = rng.normal(size=(2, 7, 3))
    rewards = plane.compute_reward(achieved, desired, {})
    assert rewards.shape == (7,)
    np.testing.assert_allclose(rewards, [-np.linalg.norm(a - d) for a, d in zip(achieved, desired, strict=True)])
    plane.reset(seed=2)
    observation, reward, _, _, info = plane.step([0.3, 0.3])
    distance = np.linalg.norm(observation["achieved_goal"] - observation["desired_goal"])
    assert reward == pytest.approx(-info["distance"]) == pytest.approx(-distance)
    for seed in range(200):  # to the last bit, as the checkers ask
        observation, _ = plane.reset(seed=seed)
        observation, reward, _, _, info = plane.step([0.3, 0.3])
        assert reward == plane.compute_reward(observation["achieved_goal"], observation["desired_goal"], info)


@pytest.mark.parametrize(("offset", "success"), [(0.055, True), (0.065, False)])
def test_six_centimetres_are_success_and_a_little_more_is_not(plane, offset, success):
    _, info = plane.reset(options={"start": [0.6, 0.0], "goal": [0.6, offset]})
    assert info["is_success"] is success
    assert info["distance"] == pytest.approx(offset, abs=1e-3)


def test_a_goal_picture_shows_what_the_camera_sees_there(plane):
    """Driven there by actions, the arm must look as the goal picture shows it."""
    plane.reset(seed=0, options={"start": [0.5, -0.1]})
    for _ in range(8):
        plane.step([1.0, 1.0])
    for _ in range(5):
        image = plane.step([0.0, 0.0])[0]["image"].astype(float)

    def differs(position):
        return np.sqrt(((image - plane.render_goal(position)) ** 2).mean())

    there = plane.world.tool_position
    assert differs([0.66, 0.06]) < min(differs([0.664, 0.06]), differs([0.66, 0.064]))
    assert differs(there) < 1.0


@pytest.mark.parametrize("action", [[np.nan, 0.0], [np.inf, np.nan]])
def test_an_action_that_is_not_finite_is_refused(plane, action):
    plane.reset(seed=0)
    with pytest.raises(ValueError, match="finite"):
        plane.step(action)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [({"axes": "yz"}, "'yz'"), ({"action_delay": (0.05, 0.01)}, "rising"), ({"action_delay": (0.0, 0.2)}, "0.1")],
)
def test_settings_that_make_no_sense_are_refused_by_their_value(arguments, why):
    with pytest.raises(ValueError, match=why):
        gymnasium.make(NAMES[0], **arguments)


@pytest.mark.parametrize("position", [[0.5], [0.5, 0.1, 0.2, 0.3], [np.nan, 0.0]])
def test_a_goal_that_is_no_position_is_refused(plane, position):
    with pytest.raises(ValueError, match="2 or 3 finite numbers"):
        plane.render_goal(position)
