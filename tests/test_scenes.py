"""The scenes: what may change about them, what must not, and that every picture shows the same moment."""

import warnings

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import rig_sim  # noqa: F401  (registers the environments)
from rig_robot.common.scene_names import SCENES, STILL
from rig_robot.vision.observation import prepare
from rig_sim import lab
from rig_sim.scenes import CHANGE, Scenery, apply_look, look_of
from rig_sim.world import SCENE, Camera, World

NAMES = ("RigSawyerReachXY-v0", "RigSawyerReachXYZ-v0")
CHANGING = tuple(scene for scene in SCENES if scene not in STILL)
OTHERS = tuple(scene for scene in SCENES if scene != "plain")


@pytest.fixture(scope="module")
def made():
    """Environments by their arguments, each made once."""
    envs = {}

    def make(scene, name=NAMES[0]):
        if (scene, name) not in envs:
            envs[scene, name] = gymnasium.make(
                name, scene=scene, action_delay=(0.02, 0.09), render_mode="rgb_array"
            ).unwrapped
        return envs[scene, name]

    yield make
    for env in envs.values():
        env.close()


def rms(a, b):
    """Root of the mean squared difference of two pictures (grey levels)."""
    return np.sqrt(((a.astype(float) - b.astype(float)) ** 2).mean())


def rollout(env, seed, look=False, steps=8):
    """Observations of one episode, the pictures of its start and end that people see among them."""
    seen = [env.reset(seed=seed)[0]]
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, len(env.axes)))
    for action in actions:
        if look:
            env.render_goal(env.workspace_low)
        seen.append(env.step(action)[0])
    return {key: np.array([observation[key] for observation in seen]) for key in seen[0]} | {"render": env.render()}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_in_the_plain_scene_nothing_of_the_others_is_left_to_see(made, name):
    """Pixel for pixel it is the scene without the distractor, also after another scene was drawn elsewhere."""
    env = made("plain", name)
    for other in OTHERS:
        rollout(made(other, name), seed=0, steps=1)
    spec = mujoco.MjSpec.from_file(str(SCENE))
    for body in [body for body in spec.bodies if body.name.startswith(("distractor", "thing"))]:
        spec.delete(body)
    for geom in [geom for geom in spec.geoms if geom.material in ("cloth", "carpet", "gripper")]:
        spec.delete(geom)
    model = spec.compile()
    data = mujoco.MjData(model)
    camera = Camera(model, *env.camera_size, env._view)
    for seed in range(3):
        rollout(env, seed, steps=3)
        data.qpos[:] = env.world.joint_positions
        mujoco.mj_forward(model, data)
        np.testing.assert_array_equal(env.render_frame(), camera.render(data))
    camera.close()


@pytest.mark.slow
@pytest.mark.parametrize("scene", OTHERS)
def test_gymnasium_finds_nothing_wrong_with_a_scene(scene):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(NAMES[0], scene=scene, render_mode="rgb_array").unwrapped)


@pytest.mark.parametrize("scene", ["bright", "", None])
def test_a_scene_that_there_is_not_is_refused_by_its_name(scene):
    with pytest.raises(ValueError, match=f"one of {', '.join(SCENES)}, not {scene!r}"):
        gymnasium.make(NAMES[0], scene=scene)


@pytest.mark.parametrize("scene", CHANGING)
def test_same_seed_gives_the_same_scene_whether_or_not_one_looks_at_goals(made, scene):
    env = made(scene)
    first, again, looked = rollout(env, 3), rollout(env, 3), rollout(env, 3, look=True)
    for key, values in first.items():
        np.testing.assert_array_equal(values, again[key])
        np.testing.assert_array_equal(values, looked[key])
    other = rollout(env, 4)
    assert rms(first["image"], other["image"]) > 5


def test_starts_goals_and_motion_are_the_same_in_all_scenes(made):
    """So that scenes can be compared on the same episodes."""
    plain = rollout(made("plain"), 5)
    for scene in OTHERS:
        other = rollout(made(scene), 5)
        for key in ("observation", "desired_goal"):
            np.testing.assert_array_equal(plain[key], other[key])
        assert rms(plain["image"], other["image"]) > 5
        assert rms(plain["render"], other["render"]) > 5


@pytest.mark.parametrize("scene", OTHERS)
@pytest.mark.parametrize("name", NAMES)
def test_in_every_scene_training_sees_what_the_camera_sees(made, scene, name, monkeypatch):
    """To within a 2 mm move, as in the plain scene (test_render_path.py); in a lab, whose cloths have finer detail than
    the render, 3 mm, and without its sensor's noise."""
    monkeypatch.setattr(lab, "TRAINING_CAMERA", lab.TRAINING_CAMERA._replace(noise=0.0, blur=0.0, jpeg=(0, 1)))
    env = made(scene, name)

    def pictures(seed, position):
        image = env.reset(seed=seed, options={"start": position})[0]["image"]
        return image, prepare(env.render_frame(), env.crop, env.image_size)

    for seed in range(5):
        position = np.random.default_rng(seed).uniform(env.workspace_low, env.workspace_high)
        image, frame = pictures(seed, position)
        moves = (0.003 if scene == "lab" else 0.002) * np.concatenate([np.eye(3), -np.eye(3)])[np.tile(env._moving, 2)]
        moved = min(rms(pictures(seed, position + move)[1], frame) for move in moves)
        assert rms(image, frame) < moved


def angle_deg(a, b):
    """Between two orientations, quaternions [4]."""
    return np.degrees(2 * np.arccos(min(1.0, abs(float(a @ b)))))


def test_the_shifted_view_is_turned_recoloured_and_dimmed_the_same_in_every_episode(made):
    env = made("shifted")
    plain = env._plain
    looks = []
    for seed in range(2):
        env.reset(seed=seed)
        for _ in range(2):
            env.step([0.0, 0.0])
        looks.append(look_of(env.world.model))
    for first, again in zip(*looks, strict=True):
        np.testing.assert_array_equal(first, again)
    (look, _) = looks
    for before, now in zip(plain.cameras, look.cameras, strict=True):
        assert angle_deg(before, now) == pytest.approx(5.0)
    assert np.abs(look.table - plain.table).max() > 0.2
    assert (look.lamp < 0.8 * plain.lamp).all() and (look.ambient < 0.8 * plain.ambient).all()
    np.testing.assert_array_equal(look.distractor, plain.distractor)


@pytest.mark.parametrize("name", NAMES)
def test_the_shifted_view_shows_the_whole_tool_in_every_corner_and_no_other_green(made, name):
    """The tool is the one green thing. It ends inside the picture."""
    env = made("shifted", name)
    corners = np.stack(np.meshgrid(*zip(env.workspace_low, env.workspace_high, strict=True)), axis=-1).reshape(-1, 3)
    for corner in corners:
        image = env.reset(seed=0, options={"start": corner})[0]["image"].astype(int)
        tool = (image[..., 1] > image[..., 0] + 60) & (image[..., 1] > image[..., 2] + 60)
        rows, columns = np.nonzero(tool)
        assert 20 <= len(rows) <= 150, f"{len(rows)} pixels look like the tool at {corner}"
        for pixels in (rows, columns):
            assert pixels.min() > 0 and pixels.max() < env.image_size - 1, f"the tool leaves the picture at {corner}"


@pytest.mark.parametrize("scene", STILL)
def test_the_simulated_robot_shows_a_scene_as_the_environment_does(made, scene):
    env, world = made(scene), World()
    Scenery(world.model, scene, 0).show(0.0)
    camera = Camera(world.model, *env.camera_size, env._view)
    env.reset(seed=0)
    np.testing.assert_array_equal(camera.render(world.at_rest(env.world.joint_positions)), env.render_frame())
    camera.close()


def distractor_pixels(env):
    """How many pixels of the observation the distractor covers now."""
    image, look = env._image(env.world.data), env._scene.at(env._time)
    apply_look(env.world.model, look._replace(distractor=np.zeros(4)))
    without = env._image(env.world.data)
    apply_look(env.world.model, look)
    return int((np.abs(image.astype(int) - without).max(axis=-1) > 30).sum())


@pytest.mark.parametrize("name", NAMES)
def test_the_distractor_wanders_in_sight_every_step_and_touches_nothing(made, name):
    env = made("cluttered", name)
    visible, ways = [], []
    for seed in range(12):
        env.reset(seed=seed)
        places = []
        for _ in range(25):
            env.step(np.zeros(len(env.axes)))
            places.append(env.world.data.body("distractor").xpos[:2].copy())
            assert env.world.data.ncon == 0
        visible.append(distractor_pixels(env))
        ways.append(np.linalg.norm(np.diff(places, axis=0), axis=1))
    assert np.mean(np.array(visible) >= 4) > 0.7, visible
    assert np.median(visible) >= 15
    assert np.min(ways) > 0 and np.mean(ways) > 0.005 and np.max(ways) < 0.05


def test_light_changes_between_episodes_and_slowly_within(made):
    """Told by a corner of the table where neither arm nor distractor come."""
    env = made("cluttered")
    between, within = [], []
    for seed in range(10):
        env.reset(seed=seed)
        corner = []
        for _ in range(20):
            corner.append(env.step([0.0, 0.0])[0]["image"][-2:, -2:].mean())
        between.append(corner[0])
        within.append(corner)
    assert np.std(between) > 8
    assert np.mean(np.ptp(within, axis=1)) > 2
    assert np.abs(np.diff(within, axis=1)).max() < 8  # it drifts, it does not flicker


def test_colours_and_place_hold_for_an_episode_and_change_with_the_next(made):
    env = made("colours")
    looks = []
    for seed in range(8):
        env.reset(seed=seed)
        first = env._scene.at(0.0)
        for _ in range(3):
            env.step([0.0, 0.0])
        for then, now in zip(first, env._scene.at(env._time), strict=True):
            np.testing.assert_array_equal(then, now)
        looks.append(np.concatenate([first.table, first.distractor, first.place]))
    changes = np.std(looks, axis=0)[[0, 1, 2, 4, 5, 6, 8, 9]]
    assert (changes > 0.05).all()


@pytest.mark.parametrize("name", NAMES)
def test_no_colour_is_mistaken_for_the_tools(made, name):
    env = made("colours", name)
    for seed in range(12):
        image = env.reset(seed=seed)[0]["image"].astype(int)
        tool = (image[..., 1] > image[..., 0] + 90) & (image[..., 1] > image[..., 2] + 90)
        assert 10 <= tool.sum() <= 150, f"{tool.sum()} pixels look like the tool in episode {seed}"


def test_a_goal_picture_keeps_the_colours_of_its_episode(made):
    """With the tool where the arm is, it is the very observation."""
    env = made("colours")
    for seed in range(4):
        position = [0.6, 0.05]
        image = env.reset(seed=seed, options={"start": position})[0]["image"]
        np.testing.assert_array_equal(env.render_goal(position), image)


def test_a_goal_picture_of_a_cluttered_scene_was_taken_at_another_time(made):
    env = made("cluttered")
    differences = []
    for seed in range(6):
        position = [0.6, 0.05]
        image = env.reset(seed=seed, options={"start": position})[0]["image"]
        goal = env.render_goal(position)
        np.testing.assert_array_equal(goal, env.render_goal(position))
        differences.append(rms(image, goal))
        np.testing.assert_array_equal(env._image(env.world.data), image)
    assert min(differences) > 5


def kinds_of(env, held_out, episodes=30):
    """What an environment's labs are made of: shapes of things, and cloths."""
    shapes, cloths = set(), set()
    for seed in range(episodes):
        env.reset(seed=seed, options={"held_out": held_out})
        for step in range(0, 50, 5):
            look = env._scene.at(0.1 * step)
            shapes |= {thing.kind for thing in look.things}
            assert 2 <= len(look.things) <= 9 and look.sensor is not None
        cloths |= {None if texture is None else texture.tobytes() for texture in (look.cloth, look.carpet)}
    return shapes, cloths - {None}


def test_a_held_out_lab_has_shapes_and_cloths_that_training_never_shows(made):
    trained, held_out = (kinds_of(made("lab"), which) for which in (False, True))
    assert trained[0] == {"box", "cylinder"} and held_out[0] == {"ellipsoid", "capsule"}
    assert len(trained[1]) > 10 and len(held_out[1]) > 10 and not trained[1] & held_out[1]


def test_a_lab_goes_on_changing_and_its_goal_pictures_show_the_same_room_at_another_time(made):
    env = made("lab")
    grippers = set()
    for seed in range(12):
        env.reset(seed=seed)
        (first, later), goal = (env._scene.at(time) for time in (0.0, 2.0)), env._scene.goal
        np.testing.assert_array_equal(first.table, goal.table)
        assert (first.cloth is None) == (goal.cloth is None) and first.gripper == goal.gripper
        assert not np.array_equal(first.lamp, goal.lamp) and not np.array_equal(first.lamp, later.lamp)
        assert any(
            not np.array_equal(one.place, two.place) for one, two in zip(first.things, later.things, strict=False)
        )
        for _ in range(3):
            env.step(np.zeros(2))
            assert env.world.data.ncon == 0, "nothing of the lab touches the arm"
        grippers.add(first.gripper)
    assert grippers == {False, True}


def test_two_processes_show_the_same_lab_at_the_same_time_and_another_one_a_minute_later():
    worlds = [World() for _ in range(2)]
    robot, goals = (Scenery(world.model, "lab", 7) for world in worlds)
    robot.show(1000.0)
    goals.show_goal(1000.0)
    colours = [world.model.material("table").rgba.copy() for world in worlds]
    np.testing.assert_array_equal(*colours)
    np.testing.assert_array_equal(worlds[0].model.tex_data, worlds[1].model.tex_data)
    robot.show(1000.0 + CHANGE)
    assert not np.array_equal(worlds[0].model.material("table").rgba, colours[0])
